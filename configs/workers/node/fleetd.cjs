// What a Node worker tells fleetd: the jobs of BullMQ workers (4, 5 and 6), and a graceful end.
//
//     const fleetd = require("./fleetd.cjs"); // import fleetd from "./fleetd.cjs" does as well
//     const worker = new Worker("media", transcode, { connection });
//     fleetd(worker);
//
// Node has no unix datagram sockets, so it tells on standard output: one line of JSON for each job that starts or ends,
// which the framework "bullmq" reads.  No packages; does no harm where no fleetd is.
"use strict";

const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");

const LONGEST_TEXT = 255; // characters of an id, a name, a queue
const LONGEST_JSON = 1024; // bytes of the same in JSON
const MOST_KEPT = 10_000; // lines kept while the pipe is full because nobody reads it
const AGAIN = 20; // milliseconds until a full pipe is tried again
const LAST_WAIT = 5_000; // milliseconds that the end waits for a full pipe, and, without a job in hand, for Redis
const GIVEN_BACK = new Set(["DelayedError", "WaitingError", "WaitingChildrenError"]);
const RATE_LIMITED = "bullmq:rateLimitExceeded";

const workers = new Map(); // worker -> its jobs in hand: id -> { bull, told, since, over }
const mostJobs = Number(process.env.FLEETD_MAX_JOBS) || Infinity;
const farewells = []; // what is to be done when all workers are closed
let begun = 0; // jobs, of all workers
let unready = 0; // workers
let connected = false; // any of them
let turn = Promise.resolve(); // pauses and resumes, one after the other
let stopping = null;

/**
 * Tell fleetd of this worker's jobs.  Call it right after `new Worker(…)`, once for each worker.
 *
 * @param worker a BullMQ Worker
 * @param options stop: end gracefully on SIGTERM and SIGINT, and after FLEETD_MAX_JOBS jobs (true);
 *   pause: pause on SIGUSR2, go on at SIGCONT (false);
 *   beforeExit: an async function, called when all workers are closed
 * @returns the worker
 */
function fleetd(worker, options = {}) {
  const jobs = new Map();
  workers.set(worker, jobs);
  awaitReady(worker);
  worker.on("active", (job) => start(worker, jobs, job, options));
  worker.on("completed", (job) => end(worker, jobs, "done", job));
  worker.on("failed", (job) => job && end(worker, jobs, "failed", job));
  worker.on("error", (error) => {
    release(worker, jobs, (bull) => isTakenAway(bull, error ?? {}));
    if (worker.listenerCount("error") === 1) console.error(error); // as if nobody listened
  });
  worker.on("closed", () => release(worker, jobs));
  watch(worker, jobs);
  if (options.beforeExit) farewells.push(options.beforeExit);
  if (options.stop !== false) {
    on("SIGTERM", stop);
    on("SIGINT", () => (stopping ? process.exit(130) : stop()));
  }
  if (options.pause) {
    on("SIGUSR2", () => each(async (one, its) => (await one.pause(), release(one, its))));
    on("SIGCONT", () => each((one) => one.resume()));
  }
  return worker;
}

/** BullMQ has no event for a job that its processor gives back (moveToDelayed, rateLimit …): its errors tell. */
function watch(worker, jobs) {
  const processor = worker.processFn;
  if (typeof processor !== "function") return; // jobs are fetched by hand
  worker.processFn = async function (bull, ...rest) {
    try {
      return await processor.call(this, bull, ...rest);
    } catch (error) {
      if (GIVEN_BACK.has(error?.name) || error?.message === RATE_LIMITED) end(worker, jobs, "released", bull);
      throw error;
    } finally {
      const job = jobs.get(bull.id);
      if (job) job.over = true;
    }
  };
}

/** Whether the error says that another worker has, or had, the job: its lock ran out, it stalled, it was removed. */
function isTakenAway({ id }, { message = "" }) {
  const told = ["Missing lock for job ID.", "Missing key for job ID.", "Lock mismatch for job ID.", "Job ID is not in"];
  return told.some((text) => message.startsWith(text.replace("ID", () => id)));
}

/** End jobs whose processors are over and that have no other end; BullMQ tells no error in a pause, nor at the end. */
function release(worker, jobs, which = () => true) {
  for (const { bull, over } of [...jobs.values()]) if (over && which(bull)) end(worker, jobs, "released", bull);
}

/** Told when no worker is waited for any more, if there is one that can work; one may be closed before it was ready. */
function awaitReady(worker) {
  let waits = true;
  const settle = (isReady) => {
    if (!waits) return;
    waits = false;
    unready -= 1;
    connected ||= isReady;
    if (connected && !unready) tell({ fleetd: "ready" });
  };
  unready += 1;
  worker.on("closed", () => settle(false)); // its promise may be left open
  worker.waitUntilReady().then(
    () => settle(true),
    () => settle(false),
  );
}

function start(worker, jobs, bull, options) {
  const told = which(worker, bull);
  jobs.set(bull.id, { bull, told, over: false, since: performance.now() });
  tell({ fleetd: "started", ...told, enqueued_at: enqueuedAt(bull), name: short(bull.name) });
  begun += 1;
  if (begun >= mostJobs && options.stop !== false) stop(); // takes no further job; this one is finished first
}

function end(worker, jobs, how, bull) {
  const job = jobs.get(bull.id);
  jobs.delete(bull.id);
  const runtime = job && Number(((performance.now() - job.since) / 1000).toFixed(6));
  tell({ fleetd: how, ...(job?.told ?? which(worker, bull)), runtime, name: short(bull.name) });
}

/** BullMQ numbers the jobs of each queue: where there are several, a number alone names none. */
function which(worker, { id }) {
  const queues = new Set([...workers.keys()].map((one) => one.name));
  return { id: short(queues.size > 1 ? `${worker.name}:${id}` : id), queue: short(worker.name) };
}

/** Unix seconds from which on the job could be taken, for its first attempt; it is not known of later ones. */
function enqueuedAt({ timestamp, opts, attemptsStarted, attemptsMade }) {
  const first = (attemptsStarted ?? attemptsMade) <= 1; // BullMQ 4 has the second only, and counts it at the start
  return first ? Math.min(timestamp + (opts?.delay ?? 0), Date.now()) / 1000 : undefined;
}

/** Three texts and the rest make a line that fits in PIPE_BUF. */
function short(text) {
  let cut = String(text).slice(0, LONGEST_TEXT);
  while (Buffer.byteLength(JSON.stringify(cut)) > LONGEST_JSON) cut = cut.slice(0, -1);
  return cut;
}

// -- signals --------------------------------------------------------------------------------------------------------

const handled = new Set();

function on(signal, handler) {
  if (!handled.has(signal)) process.on(signal, handler);
  handled.add(signal);
}

function each(what) {
  turn = turn.then(() => Promise.all([...workers].map((pair) => what(...pair)))).catch((error) => console.error(error));
}

/** Take no further job, finish those in hand, exit. */
function stop() {
  stopping ??= (async () => {
    await Promise.race([Promise.all([...workers.keys()].map((worker) => worker.close())), idle()]);
    for (const farewell of farewells) await farewell();
    process.exit();
  })().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}

/** A worker cannot close while its Redis is away; without a job in hand that is no reason to stay. */
async function idle() {
  do await sleep(LAST_WAIT);
  while ([...workers.values()].some((jobs) => jobs.size));
}

// -- lines ----------------------------------------------------------------------------------------------------------

// process.stdout would lose what is queued in it at process.exit().  A line of at most 4096 bytes, PIPE_BUF,
// goes out whole or not at all, and this process waits for nobody who reads.
const lines = [];
let timer = null;

function tell(message) {
  lines.push(`${JSON.stringify(message)}\n`);
  if (lines.length > MOST_KEPT) {
    const start = lines.findIndex((line) => line.startsWith('{"fleetd":"started"'));
    lines.splice(Math.max(0, start), 1);
  }
  if (!timer) write();
}

function write() {
  timer = null;
  while (lines.length) {
    try {
      // What is queued there may have been written in part: begin a line of our own.
      const amid = process.stdout.writableLength || process.stderr.writableLength;
      fs.writeSync(1, amid ? `\n${lines[0]}` : lines[0]);
    } catch (error) {
      if (error.code === "EAGAIN") {
        timer = setTimeout(write, AGAIN).unref();
        return;
      } // nobody is there to read it
    }
    lines.shift();
  }
}

process.on("exit", () => {
  const last = Date.now() + LAST_WAIT;
  for (write(); lines.length && Date.now() < last; write()) {
    clearTimeout(timer);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, AGAIN);
  }
});

module.exports = fleetd;

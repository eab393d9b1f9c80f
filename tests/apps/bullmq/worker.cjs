// The workers of the tests' BullMQ application, one for each queue; each job leaves a line in the job log when it
// starts, ends or fails.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");
const { Worker } = require("bullmq");
const fleetd = require("./fleetd.cjs");

const release = path.basename(__dirname);

/** One line, one write, appended: whole lines whoever else writes. */
function log(what, job) {
  fs.appendFileSync(process.env.JOB_LOG, `${what} ${job} ${process.pid} ${release} ${Date.now() / 1000}\n`);
}

/** Works for `seconds`, and until the file `gate` is there, then fails if it was told to. */
async function transcode({ id, data: { seconds, gate, fail } }) {
  log("started", id);
  await sleep(seconds * 1000);
  while (gate && !fs.existsSync(gate)) await sleep(10);
  if (fail) {
    log("failed", id);
    throw new Error(`transcode failed on demand: ${id}`);
  }
  log("done", id);
}

const connection = { url: process.env.REDIS_URL, maxRetriesPerRequest: null };
for (const queue of process.env.FLEETD_QUEUES.split(",")) {
  const worker = fleetd(new Worker(queue, transcode, { connection }), { pause: true });
  worker.on("paused", () => console.log(`${queue} is paused`));
}

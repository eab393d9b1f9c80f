// node odd.cjs PACKAGE PORT: jobs that fail, are tried again, give themselves back or lose their lock, in BullMQ as
// PACKAGE; one after the other, told by fleetd.cjs.  Ends by FLEETD_MAX_JOBS.
"use strict";

const { once } = require("node:events");
const { connect } = require("node:net");
const fleetd = require("./fleetd.cjs");

const [, , name, port] = process.argv;
const { DelayedError, Queue, Worker } = require(name);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const seen = new Set();

const what = {
  plain: () => {},
  broken: () => {
    throw new Error("broken");
  },
  delays: async (job, token) => {
    await job.moveToDelayed(Date.now() + 50, token);
    throw new DelayedError();
  },
  "is limited": async () => {
    await worker.rateLimit(50);
    throw Worker.RateLimitError();
  },
  "loses its lock": async ({ id }) => {
    const redis = connect(connection.port, connection.host);
    redis.write(`DEL bull:odd:${id}:lock\r\n`);
    await once(redis, "data");
    redis.destroy();
  },
};

async function work(job, token) {
  if (seen.has(job.name) && job.name !== "broken") return;
  seen.add(job.name);
  await what[job.name](job, token);
}

let worker;

async function main() {
  const queue = new Queue("odd", { connection });
  const jobs = Object.keys(what).map((kind) => ({ name: kind, data: {}, opts: kind === "broken" ? { attempts: 2 } : {} }));
  await queue.addBulk([...jobs, { name: "plain", data: {}, opts: { delay: 300 } }]);
  await queue.close();
  worker = new Worker("odd", work, { connection, concurrency: Number(process.env.CONCURRENCY) });
  worker.on("error", () => {});
  fleetd(worker);
}

main();

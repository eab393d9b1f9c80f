// node late.cjs PORT: a worker that is closed before it was ready, and one that is made while a job of another is in hand.
// Ends by FLEETD_MAX_JOBS.
"use strict";

const fleetd = require("./fleetd.cjs");
const { Queue, Worker } = require("bullmq");

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };

function made(queue, work, port = connection.port) {
  const worker = new Worker(queue, work, { connection: { ...connection, port } });
  worker.on("error", () => {});
  return fleetd(worker);
}

async function main() {
  const never = made("early", () => {}, 1);
  never.once("error", () => never.close(true));
  made("early", () => {
    made("late", () => {});
  });
  for (const name of ["early", "late"]) {
    const queue = new Queue(name, { connection });
    await queue.add("job", {});
    await queue.close();
  }
}

main();

// node enqueue.cjs QUEUE JOBS: adds jobs to a queue, given in JSON as a list of { name, data, opts }.
"use strict";

const { Queue } = require("bullmq");

async function main(name, jobs) {
  const queue = new Queue(name, { connection: { url: process.env.REDIS_URL } });
  await queue.addBulk(jobs);
  await queue.close();
}

main(process.argv[2], JSON.parse(process.argv[3]));

// What a team would write instead of `payouts process`: a BullMQ worker, one job for each pending
// payout, an idempotency key from the payout's id. It keeps no ledger and resolves nothing.
//
//   node worker.js enqueue     one job for each pending payout
//   node worker.js work        works until the queue is empty, and ends

import { Queue, Worker } from 'bullmq';
import pg from 'pg';
import Stripe from 'stripe';

const { DATABASE_URL, STRIPE_API_BASE, STRIPE_SECRET_KEY, REDIS_PORT, CONCURRENCY } = process.env;
const concurrency = Number(CONCURRENCY);
const connection = { host: '127.0.0.1', port: Number(REDIS_PORT), maxRetriesPerRequest: null };
const base = new URL(STRIPE_API_BASE);
const stripe = new Stripe(STRIPE_SECRET_KEY, {
  host: base.hostname,
  port: base.port,
  protocol: base.protocol.replace(':', ''),
  telemetry: false,
});
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: concurrency });
const name = 'payouts';

async function enqueue() {
  const queue = new Queue(name, { connection });
  await queue.obliterate({ force: true });
  const { rows } = await pool.query("SELECT id FROM payouts WHERE status = 'PENDING' ORDER BY created_at, id");
  for (let at = 0; at < rows.length; at += 1000) {
    await queue.addBulk(
      rows.slice(at, at + 1000).map(({ id }) => ({
        name: 'pay',
        data: { id },
        opts: { jobId: id, attempts: 5, backoff: { type: 'exponential', delay: 500 }, removeOnComplete: true },
      })),
    );
  }
  await queue.close();
}

async function pay({ data: { id } }) {
  const { rows } = await pool.query(
    `SELECT p.amount_cents, p.creator_id, c."stripeAccountId" AS destination
       FROM payouts p JOIN creators c ON c.id = p.creator_id WHERE p.id = $1 AND p.status <> 'COMPLETED'`,
    [id],
  );
  if (rows.length === 0) return;
  const [payout] = rows;
  await pool.query("UPDATE payouts SET status = 'PROCESSING', updated_at = now() WHERE id = $1", [id]);
  const transfer = await stripe.transfers.create(
    {
      amount: payout.amount_cents,
      currency: 'usd',
      destination: payout.destination,
      transfer_group: id,
      metadata: { payout_id: id, creator_id: payout.creator_id },
    },
    { idempotencyKey: `payout_${id}` },
  );
  await pool.query(
    `UPDATE payouts SET status = 'COMPLETED', stripe_transfer_id = $2, processed_at = now(), updated_at = now()
      WHERE id = $1`,
    [id, transfer.id],
  );
}

async function work() {
  const worker = new Worker(name, pay, { connection, concurrency });
  worker.on('failed', (job, error) => console.error(job?.id, error.message));
  await new Promise((resolve) => worker.once('drained', resolve));
  await worker.close();
}

await (process.argv[2] === 'enqueue' ? enqueue() : work());
await pool.end();
process.exit(0);

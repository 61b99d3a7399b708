DROP INDEX IF EXISTS "payout_queue_idx";

CREATE INDEX IF NOT EXISTS "payout_queue_idx" ON "payouts" ("status", "created_at", "id");

-- Which alerts `payouts check --mail` raised and cleared, so that each is told once, and
-- again when it has grown. The rows stay: they say when something needed a person, and for
-- how long.
CREATE TABLE "payout_alerts" (
    "code" TEXT NOT NULL,
    "raised_at" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    -- What was found, in words, when it was last looked at.
    "found" TEXT NOT NULL,
    "seen_at" TEXT NOT NULL,
    -- When it was last told.
    "told_at" TEXT NOT NULL,
    -- How many things it was about, and how much money, when it was last told, or the least
    -- there was since; 0 where it is about none.
    "told_count" INTEGER NOT NULL,
    "told_cents" INTEGER NOT NULL,
    "cleared_at" TEXT,

    CONSTRAINT "payout_alerts_pkey" PRIMARY KEY ("code", "raised_at"),
    CONSTRAINT "payout_alerts_severity_check" CHECK ("severity" IN ('warning', 'critical'))
) STRICT;
-- An alert is raised once before it is cleared, however many look at the same time.
CREATE UNIQUE INDEX "payout_alerts_standing_key" ON "payout_alerts" ("code") WHERE ("cleared_at" IS NULL);

-- Transfers beside a paid one, which every run and every check asks for.
CREATE INDEX "payout_attempts_surplus_idx" ON "payout_attempts" ("payout_id", "attempt")
    WHERE ("outcome" = 'surplus');

-- What Stripe said happened, as events. No foreign key to a platform table, as in 006.

-- One row for each event, however often it came. It is stored before it is answered,
-- and applied afterwards.
CREATE TABLE "payout_stripe_events" (
    "event_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    -- What it is about: tr_… or acct_….
    "object_id" TEXT,
    -- The connected account it happened on, where it did not on the platform's own.
    "account" TEXT,
    "livemode" INTEGER NOT NULL CHECK ("livemode" IN (0, 1)),
    "api_version" TEXT,
    -- When it happened, by Stripe's clock.
    "created_at" TEXT NOT NULL,
    "came_by" TEXT NOT NULL,
    "received_at" TEXT NOT NULL,
    -- The object as it was then; none where it is fetched, and once it is settled.
    "snapshot" TEXT,
    "state" TEXT NOT NULL,
    "tries" INTEGER NOT NULL,
    "settled_at" TEXT,
    "payout_id" TEXT,
    -- What became of it, in words.
    "outcome" TEXT,

    CONSTRAINT "payout_stripe_events_pkey" PRIMARY KEY ("event_id"),
    CONSTRAINT "payout_stripe_events_came_by_check" CHECK ("came_by" IN ('listen', 'pull')),
    CONSTRAINT "payout_stripe_events_state_check" CHECK ("state" IN ('pending', 'applied', 'reported', 'ignored'))
) STRICT;
CREATE INDEX "payout_stripe_events_pending_idx" ON "payout_stripe_events" ("event_id") WHERE ("state" = 'pending');
CREATE INDEX "payout_stripe_events_object_id_idx" ON "payout_stripe_events" ("object_id");
CREATE INDEX "payout_stripe_events_received_at_idx" ON "payout_stripe_events" ("received_at", "event_id");

-- How far `payouts events pull` got: every event before this moment is stored.
CREATE TABLE "payout_event_pulls" (
    "stripe_account" TEXT NOT NULL,
    "livemode" INTEGER NOT NULL CHECK ("livemode" IN (0, 1)),
    "pulled_until" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "pulled_at" TEXT NOT NULL,

    CONSTRAINT "payout_event_pulls_pkey" PRIMARY KEY ("stripe_account", "livemode"),
    CONSTRAINT "payout_event_pulls_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id")
) STRICT;

-- What the newest event said of whether an account can take transfers.
CREATE TABLE "payout_account_states" (
    "stripe_account" TEXT NOT NULL,
    "livemode" INTEGER NOT NULL CHECK ("livemode" IN (0, 1)),
    -- Stripe's word: active, inactive, pending, …
    "transfers" TEXT NOT NULL,
    "disabled_reason" TEXT,
    -- The moment of that event, by Stripe's clock.
    "as_of" TEXT NOT NULL,
    "event_id" TEXT NOT NULL,
    "seen_at" TEXT NOT NULL,

    CONSTRAINT "payout_account_states_pkey" PRIMARY KEY ("stripe_account", "livemode")
) STRICT;

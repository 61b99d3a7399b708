-- Mails that are to be sent, and what became of them. No foreign key to a platform
-- table, as in 006.

-- The outbox: one row for each mail to one person. It is written in the transaction
-- that makes the mail due.
CREATE TABLE "payout_notifications" (
    -- Made of what the mail is about, so that the same thing is told once.
    "id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    -- A payout, a run, or the code of an alert.
    "about" TEXT NOT NULL,
    -- To a creator: where it went when it was last tried.
    "recipient" TEXT,
    -- Of an alert, which is told as it was raised; all else is read when it is sent.
    "subject" TEXT,
    "body" TEXT,
    "state" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    "due_at" TEXT NOT NULL,
    "tries" INTEGER NOT NULL,
    -- The run that sends it, or did.
    "run_id" TEXT,
    "lease_until" TEXT,
    -- Why it waits, was dropped or was given up, in words.
    "reason" TEXT,
    "settled_at" TEXT,
    -- What it says, where that decides whether the next one is the same again.
    "fingerprint" TEXT,

    CONSTRAINT "payout_notifications_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "payout_notifications_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id"),
    CONSTRAINT "payout_notifications_kind_check" CHECK ("kind" IN ('paid', 'failed', 'digest', 'alert')),
    CONSTRAINT "payout_notifications_state_check" CHECK ("state" IN ('waiting', 'sending', 'sent', 'failed', 'dropped', 'no_address'))
) STRICT;
CREATE INDEX "payout_notifications_due_idx" ON "payout_notifications" ("due_at", "id") WHERE ("settled_at" IS NULL);
CREATE INDEX "payout_notifications_failed_idx" ON "payout_notifications" ("settled_at") WHERE ("state" = 'failed');
CREATE INDEX "payout_notifications_created_at_idx" ON "payout_notifications" ("created_at", "id");
CREATE INDEX "payout_notifications_about_idx" ON "payout_notifications" ("about");

-- Which kinds of mail are sent. Without a row for everybody a kind is off; a row of a
-- creator is an exception.
CREATE TABLE "payout_notification_switches" (
    "kind" TEXT NOT NULL,
    -- Empty: everybody.
    "creator_id" TEXT NOT NULL,
    "is_on" INTEGER NOT NULL CHECK ("is_on" IN (0, 1)),
    "changed_at" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,

    CONSTRAINT "payout_notification_switches_pkey" PRIMARY KEY ("kind", "creator_id"),
    CONSTRAINT "payout_notification_switches_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id"),
    CONSTRAINT "payout_notification_switches_kind_check" CHECK ("kind" IN ('paid', 'failed', 'digest', 'alert'))
) STRICT;

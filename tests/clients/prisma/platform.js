// The platform's own software: Prisma's client, unchanged, on the platform's tables.
//
//     platform.js write                  makes creators, statements and payouts
//     platform.js read                   all payouts with their creators, and all statements
//     platform.js delete MODEL ID …      one row after the other, as in `delete payout cm… creator cm…`
//
// Prints JSON. Takes DATABASE_URL, DATABASE_SCHEMA and GENERATED_CLIENT (a folder) from the environment.

'use strict';

const { PrismaPg } = require('@prisma/adapter-pg');
const { PrismaClient } = require(process.env.GENERATED_CLIENT);

const adapter = new PrismaPg(
  { connectionString: process.env.DATABASE_URL },
  { schema: process.env.DATABASE_SCHEMA },
);
const prisma = new PrismaClient({ adapter });

function creator(name, stripeAccountId) {
  return prisma.creator.create({
    data: {
      stageName: name,
      stripeAccountId,
      specialties: ['drums', { years: 12 }],
      user: { create: { email: `${name.toLowerCase()}@example.com`, passwordHash: 'argon2', role: 'CREATOR', name } },
    },
  });
}

const COMMANDS = {
  async write() {
    const ann = await creator('Ann', 'acct_ann');
    const bob = await creator('Bob', 'acct_bob_closed');
    const run = await prisma.royaltyRun.create({
      data: {
        periodStart: new Date('2026-09-01T00:00:00Z'),
        periodEnd: new Date('2026-10-01T00:00:00Z'),
        status: 'LOCKED',
        createdBy: ann.userId,
      },
    });
    const statement = await prisma.royaltyStatement.create({
      data: {
        royaltyRunId: run.id,
        creatorId: ann.id,
        pdf: Buffer.from('%PDF'),
        totalEarningsCents: 60000,
        platformFeeCents: 10000,
        netPayableCents: 50000,
        status: 'REVIEWED',
      },
    });
    const payout = (creatorId, amountCents, royaltyStatementId) =>
      prisma.payout.create({ data: { creatorId, amountCents, royaltyStatementId } });
    return {
      ann,
      bob,
      statement: statement.id,
      covering: await payout(ann.id, 50000, statement.id),
      free: await payout(ann.id, 1234),
      closed: await payout(bob.id, 700),
    };
  },

  async read() {
    return {
      payouts: await prisma.payout.findMany({
        include: { creator: { include: { user: true } } },
        orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
      }),
      statements: await prisma.royaltyStatement.findMany({ omit: { pdf: true } }),
    };
  },

  async delete(...pairs) {
    for (let at = 0; at < pairs.length; at += 2) await prisma[pairs[at]].delete({ where: { id: pairs[at + 1] } });
    return null;
  },
};

async function main() {
  const [command, ...args] = process.argv.slice(2);
  const result = await COMMANDS[command](...args);
  await prisma.$disconnect();
  process.stdout.write(JSON.stringify(result));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});


using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'payouts' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'payouts'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'payouts' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List payouts, newest first, with the totals of all that match')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show all there is on a payout, and what to do next')
            [CompletionResult]::new('create', 'create', [CompletionResultType]::ParameterValue, 'Create payouts: one, a file of them, or what statements are owed')
            [CompletionResult]::new('creators', 'creators', [CompletionResultType]::ParameterValue, 'Look at creators, and bring them in')
            [CompletionResult]::new('process', 'process', [CompletionResultType]::ParameterValue, 'Pay what is due')
            [CompletionResult]::new('reconcile', 'reconcile', [CompletionResultType]::ParameterValue, 'Compare the table with Stripe, transfer by transfer, both ways')
            [CompletionResult]::new('retry', 'retry', [CompletionResultType]::ParameterValue, 'Put failed payouts back into the queue')
            [CompletionResult]::new('hold', 'hold', [CompletionResultType]::ParameterValue, 'Keep payouts from being sent')
            [CompletionResult]::new('release', 'release', [CompletionResultType]::ParameterValue, 'Let held payouts go, so that the next `process` may pay them')
            [CompletionResult]::new('cancel', 'cancel', [CompletionResultType]::ParameterValue, 'End payouts that were not paid, for good')
            [CompletionResult]::new('batches', 'batches', [CompletionResultType]::ParameterValue, 'Look at the files that were loaded')
            [CompletionResult]::new('statements', 'statements', [CompletionResultType]::ParameterValue, 'Look at royalty statements, and bring them in')
            [CompletionResult]::new('migrate', 'migrate', [CompletionResultType]::ParameterValue, 'Create the database, or bring it up to date')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Create the database, or bring it up to date')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Check that everything a run needs is there')
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'Run the whole job on sample data, offline')
            [CompletionResult]::new('sandbox', 'sandbox', [CompletionResultType]::ParameterValue, 'Run a Stripe simulator on this machine')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print what completes `payouts` in a shell, or its man page')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Explain a command, the exit codes, or the JSON')
            break
        }
        'payouts;list' {
            [CompletionResult]::new('--status', '--status', [CompletionResultType]::ParameterName, 'Only in this state; may be repeated')
            [CompletionResult]::new('--batch', '--batch', [CompletionResultType]::ParameterName, 'Only those loaded with this batch')
            [CompletionResult]::new('--creator', '--creator', [CompletionResultType]::ParameterName, 'Only those paying a creator: the id, the e-mail, or part of the name')
            [CompletionResult]::new('--statement', '--statement', [CompletionResultType]::ParameterName, 'Only those settling this statement')
            [CompletionResult]::new('--reference', '--reference', [CompletionResultType]::ParameterName, 'Only the one loaded under this reference')
            [CompletionResult]::new('--min-amount', '--min-amount', [CompletionResultType]::ParameterName, 'Only of at least this amount, such as 500.00')
            [CompletionResult]::new('--max-amount', '--max-amount', [CompletionResultType]::ParameterName, 'Only of at most this amount')
            [CompletionResult]::new('--created', '--created', [CompletionResultType]::ParameterName, 'Only those created in this time: 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now), or two RFC 3339 times as A..B')
            [CompletionResult]::new('--processed', '--processed', [CompletionResultType]::ParameterName, 'Only those paid in this time, written like --created')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Whose days and months are meant, such as Europe/Berlin; tables show its time')
            [CompletionResult]::new('--sort', '--sort', [CompletionResultType]::ParameterName, 'What to sort by, newest or largest first')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'How many to show, at most 1000')
            [CompletionResult]::new('--after', '--after', [CompletionResultType]::ParameterName, 'Go on behind this payout, the last one of the page before')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--reverse', '--reverse', [CompletionResultType]::ParameterName, 'Oldest or smallest first')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Show all of them')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;show' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;create' {
            [CompletionResult]::new('--creator', '--creator', [CompletionResultType]::ParameterName, 'Whom to pay: id, e-mail address or Stripe account; of statements, only this creator''s')
            [CompletionResult]::new('--amount', '--amount', [CompletionResultType]::ParameterName, 'How much, in major units, such as 500.00')
            [CompletionResult]::new('--amount-cents', '--amount-cents', [CompletionResultType]::ParameterName, 'How much, in minor units, such as 50000')
            [CompletionResult]::new('--statement', '--statement', [CompletionResultType]::ParameterName, 'The royalty statement it settles')
            [CompletionResult]::new('--reference', '--reference', [CompletionResultType]::ParameterName, 'Your own name for the payment, unique')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'A CSV file of payouts; - reads standard input')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'A CSV file of payouts; - reads standard input')
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'Of those, only this royalty run''s')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why; it stands in the history of those payouts')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--no-references', '--no-references', [CompletionResultType]::ParameterName, 'Let rows without a reference take the file''s hash and their line')
            [CompletionResult]::new('--release', '--release', [CompletionResultType]::ParameterName, 'Do not hold the batch: the next `process` may pay it')
            [CompletionResult]::new('--from-statements', '--from-statements', [CompletionResultType]::ParameterName, 'What is left of each payable royalty statement')
            [CompletionResult]::new('--repay', '--repay', [CompletionResultType]::ParameterName, 'Also pay again what was taken back of a statement at Stripe')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'Allow less than what is left of a statement')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Do everything but write, and say what would be created')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;creators' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List creators')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show one creator: details, what the payouts come to, the newest of them')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Add one creator')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Import creators from a CSV file')
            break
        }
        'payouts;creators;list' {
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'At most this many, up to 1000')
            [CompletionResult]::new('--after', '--after', [CompletionResultType]::ParameterName, 'Go on behind this id, the last of the page before')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;creators;show' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;creators;add' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The name on stage and on screen')
            [CompletionResult]::new('--email', '--email', [CompletionResultType]::ParameterName, 'E-mail address, unique')
            [CompletionResult]::new('--stripe-account', '--stripe-account', [CompletionResultType]::ParameterName, 'Where payouts go, acct_…')
            [CompletionResult]::new('--id', '--id', [CompletionResultType]::ParameterName, 'The id to give; made when missing')
            [CompletionResult]::new('--onboarding-status', '--onboarding-status', [CompletionResultType]::ParameterName, 'The platform''s word on onboarding')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;creators;import' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'Let rows replace the stored name, e-mail address and Stripe account')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;process' {
            [CompletionResult]::new('--batch', '--batch', [CompletionResultType]::ParameterName, 'Only this batch; naming it releases it for this run')
            [CompletionResult]::new('--creator', '--creator', [CompletionResultType]::ParameterName, 'Only this creator: id, e-mail or Stripe account')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'At most this many payouts')
            [CompletionResult]::new('--max-total', '--max-total', [CompletionResultType]::ParameterName, 'At most this much in all, in major units such as 1250.00')
            [CompletionResult]::new('--confirm-total', '--confirm-total', [CompletionResultType]::ParameterName, 'The plan''s total, said beforehand: anything else refuses')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show the plan, and send nothing')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;reconcile' {
            [CompletionResult]::new('--period', '--period', [CompletionResultType]::ParameterName, 'The transfers made in this time: 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now), or two RFC 3339 times as A..B')
            [CompletionResult]::new('--from', '--from', [CompletionResultType]::ParameterName, 'From this day, month or RFC 3339 time on')
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'Up to this day or month, included, or this RFC 3339 time')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Whose days and months are meant, such as Europe/Berlin')
            [CompletionResult]::new('--accept', '--accept', [CompletionResultType]::ParameterName, 'Accept this finding as it is, instead of comparing; may be repeated')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why it is accepted')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--fix', '--fix', [CompletionResultType]::ParameterName, 'Apply the repairs that are provably safe')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;retry' {
            [CompletionResult]::new('--code', '--code', [CompletionResultType]::ParameterName, 'Those that Stripe refused with this code, such as `resource_missing`, once somebody has seen to the cause')
            [CompletionResult]::new('--batch', '--batch', [CompletionResultType]::ParameterName, 'Of those, only this batch')
            [CompletionResult]::new('--creator', '--creator', [CompletionResultType]::ParameterName, 'Of those, only this creator: id, e-mail or Stripe account')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Of those, at most this many, oldest first')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--due', '--due', [CompletionResultType]::ParameterName, 'Those that need no person and whose back-off has elapsed; for cron')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Those that need no person, back-off or not')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Also those that failed as often as `PAYOUTS_MAX_RETRIES` allows')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would be done, and do nothing')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;hold' {
            [CompletionResult]::new('--batch', '--batch', [CompletionResultType]::ParameterName, 'A batch')
            [CompletionResult]::new('--creator', '--creator', [CompletionResultType]::ParameterName, 'A creator: id, e-mail or Stripe account')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why, for whoever meets the hold')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Everything: the switch')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;release' {
            [CompletionResult]::new('--batch', '--batch', [CompletionResultType]::ParameterName, 'A batch')
            [CompletionResult]::new('--creator', '--creator', [CompletionResultType]::ParameterName, 'A creator: id, e-mail or Stripe account')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why, for the record')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Everything: the switch')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;cancel' {
            [CompletionResult]::new('--batch', '--batch', [CompletionResultType]::ParameterName, 'All of this batch')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why, for the record')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;batches' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List batches, newest first')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show one batch: where it came from, whether it is held, what became of it')
            break
        }
        'payouts;batches;list' {
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'At most this many, up to 1000')
            [CompletionResult]::new('--after', '--after', [CompletionResultType]::ParameterName, 'Go on behind this id, the last of the page before')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;batches;show' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;statements' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List statements')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show one statement: what is owed, what of it is paid, its payouts')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Add one statement')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Import statements from a CSV file')
            break
        }
        'payouts;statements;list' {
            [CompletionResult]::new('--creator', '--creator', [CompletionResultType]::ParameterName, 'Only this creator''s: id, e-mail address or Stripe account')
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'Only this royalty run''s')
            [CompletionResult]::new('--status', '--status', [CompletionResultType]::ParameterName, 'Only in this state; may be given several times')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'At most this many, up to 1000')
            [CompletionResult]::new('--after', '--after', [CompletionResultType]::ParameterName, 'Go on behind this id, the last of the page before')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;statements;show' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;statements;add' {
            [CompletionResult]::new('--creator', '--creator', [CompletionResultType]::ParameterName, 'Whom it is owed to: id, e-mail address or Stripe account')
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The royalty run it is of; made when missing, with a period')
            [CompletionResult]::new('--period', '--period', [CompletionResultType]::ParameterName, 'The month of a new royalty run, such as 2026-10')
            [CompletionResult]::new('--net-payable', '--net-payable', [CompletionResultType]::ParameterName, 'What is owed, in major units, such as 500.00')
            [CompletionResult]::new('--total-earnings', '--total-earnings', [CompletionResultType]::ParameterName, 'Before the platform''s fee; net payable and fee together when missing')
            [CompletionResult]::new('--platform-fee', '--platform-fee', [CompletionResultType]::ParameterName, 'The platform''s fee; nothing when missing')
            [CompletionResult]::new('--status', '--status', [CompletionResultType]::ParameterName, 'Where it stands; REVIEWED when missing')
            [CompletionResult]::new('--id', '--id', [CompletionResultType]::ParameterName, 'The id to give; made when missing')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;statements;import' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;migrate' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--status', '--status', [CompletionResultType]::ParameterName, 'Only say what has run and what has not')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print the SQL that would run, and run nothing')
            [CompletionResult]::new('--revert', '--revert', [CompletionResultType]::ParameterName, 'Take the newest migration back; refused where that would lose anything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;init' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--status', '--status', [CompletionResultType]::ParameterName, 'Only say what has run and what has not')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print the SQL that would run, and run nothing')
            [CompletionResult]::new('--revert', '--revert', [CompletionResultType]::ParameterName, 'Take the newest migration back; refused where that would lose anything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;doctor' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;demo' {
            [CompletionResult]::new('--folder', '--folder', [CompletionResultType]::ParameterName, 'A new folder for the database and the sample files')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;sandbox' {
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Where to listen; port 0 takes any that is free')
            [CompletionResult]::new('--balance', '--balance', [CompletionResultType]::ParameterName, 'Money in the platform''s balance, in minor units of the currency')
            [CompletionResult]::new('--currency', '--currency', [CompletionResultType]::ParameterName, 'The currency of the balance')
            [CompletionResult]::new('--rate', '--rate', [CompletionResultType]::ParameterName, 'Requests per second; more are refused with 429')
            [CompletionResult]::new('--latency', '--latency', [CompletionResultType]::ParameterName, 'Milliseconds every answer takes')
            [CompletionResult]::new('--faults', '--faults', [CompletionResultType]::ParameterName, 'What goes wrong: a JSON file, see `GET /_sandbox`')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Keep the books in this file between two runs')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'The same ids at every start')
            [CompletionResult]::new('--webhook', '--webhook', [CompletionResultType]::ParameterName, 'Post signed events to this address on this machine')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('--allow-remote', '--allow-remote', [CompletionResultType]::ParameterName, 'Allow an address that other machines can reach; nothing is protected')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;completions' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'payouts;help' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the answer is written to stdout')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to use instead of `DATABASE_URL`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but warnings and errors')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--live', '--live', [CompletionResultType]::ParameterName, 'Allow a key that moves real money')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}

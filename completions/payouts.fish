# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_payouts_global_optspecs
    string join \n o/output= q/quiet log-format= v/verbose color= y/yes live database-url= h/help V/version
end

function __fish_payouts_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_payouts_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_payouts_using_subcommand
    set -l cmd (__fish_payouts_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c payouts -n "__fish_payouts_needs_command" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_needs_command" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_needs_command" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_needs_command" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_needs_command" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_needs_command" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_needs_command" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_needs_command" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_needs_command" -s V -l version -d 'Print version'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "list" -d 'List payouts, newest first, with the totals of all that match'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "show" -d 'Show all there is on a payout, and what to do next'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "receipt" -d 'Write a creator\'s receipt of a payout, as a page to print'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "create" -d 'Create payouts: one, a file of them, or what statements are owed'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "creators" -d 'Look at creators, and bring them in'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "process" -d 'Pay what is due'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "reconcile" -d 'Compare the table with Stripe, transfer by transfer, both ways'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "retry" -d 'Put failed payouts back into the queue'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "resolve" -d 'Decide about payouts whose outcome nobody knows'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "hold" -d 'Keep payouts from being sent'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "release" -d 'Let held payouts go, so that the next `process` may pay them'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "approve" -d 'Approve payouts that somebody else made'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "cancel" -d 'End payouts that were not paid, for good'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "batches" -d 'Look at the files that were loaded'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "statements" -d 'Look at royalty statements, and bring them in'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "runs" -d 'Look at what this tool was run for, and how it ended'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "report" -d 'Export a period for the books, with lines that tie to zero'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "stats" -d 'Volume, success, failures by code, retries, time to paid'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "events" -d 'Hear what Stripe says: reversals, transfers, accounts that change'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "notify" -d 'Send the mails that wait: to creators, and to operators'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "migrate" -d 'Create the database, or bring it up to date'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "init" -d 'Create the database, or bring it up to date'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "doctor" -d 'Check that everything a run needs is there'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "backup" -d 'Copy the embedded database to a file, as it stands at one moment'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "demo" -d 'Run the whole job on sample data, offline'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "sandbox" -d 'Run a Stripe simulator on this machine'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "completions" -d 'Print what completes `payouts` in a shell, or its man page'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "help" -d 'Explain a command, the exit codes, the JSON, or an alert'
complete -c payouts -n "__fish_payouts_needs_command" -f -a "check" -d 'Say in one line whether something needs a person'
complete -c payouts -n "__fish_payouts_using_subcommand list" -l status -d 'Only in this state; may be repeated' -r -f -a "PENDING\t''
PROCESSING\t''
COMPLETED\t''
FAILED\t''"
complete -c payouts -n "__fish_payouts_using_subcommand list" -l batch -d 'Only those loaded with this batch' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l creator -d 'Only those paying a creator: the id, the e-mail, or part of the name' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l statement -d 'Only those settling this statement' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l reference -d 'Only the one loaded under this reference' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l min-amount -d 'Only of at least this amount, such as 500.00' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l max-amount -d 'Only of at most this amount' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l created -d 'Only those created in this time: 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now), or two RFC 3339 times as A..B' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l processed -d 'Only those paid in this time, written like --created' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l tz -d 'Whose days and months are meant, such as Europe/Berlin; tables show its time' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l sort -d 'What to sort by, newest or largest first' -r -f -a "created\t''
updated\t''
amount\t''"
complete -c payouts -n "__fish_payouts_using_subcommand list" -l limit -d 'How many to show, at most 1000' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l after -d 'Go on behind this payout, the last one of the page before' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand list" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand list" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand list" -l reverse -d 'Oldest or smallest first'
complete -c payouts -n "__fish_payouts_using_subcommand list" -l all -d 'Show all of them'
complete -c payouts -n "__fish_payouts_using_subcommand list" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand list" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand list" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand list" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand show" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand show" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand show" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand show" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand show" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand show" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand show" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand show" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -l out -d 'Write the page to this file, for its owner alone, instead of stdout' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -l force -d 'Write over the file if it is there'
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand receipt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand create" -l creator -d 'Whom to pay: id, e-mail address or Stripe account; of statements, only this creator\'s' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l amount -d 'How much, in major units, such as 500.00' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l amount-cents -d 'How much, in minor units, such as 50000' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l statement -d 'The royalty statement it settles' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l reference -d 'Your own name for the payment, unique' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -s f -l file -d 'A CSV file of payouts; - reads standard input' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand create" -l errors -d 'Write the bad rows to FILE, with a column `error`' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand create" -l map -d 'What the header calls a column, such as amount=Betrag; may be repeated' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l ignore -d 'Read past a column of the file, by its name; \'*\' for all that are not known' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l decimal -d 'What stands before the decimals: \'.\', or \',\' as in 1.250,00' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l encoding -d 'utf-8, utf-16le, utf-16be or windows-1252, where the file does not say itself' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l run -d 'Of those, only this royalty run\'s' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l reason -d 'Why; it stands in the history of those payouts' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand create" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand create" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand create" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand create" -l no-references -d 'Let rows without a reference take the file\'s hash and their line'
complete -c payouts -n "__fish_payouts_using_subcommand create" -l skip-bad -d 'Leave bad rows out and create the others; then the exit code is 1'
complete -c payouts -n "__fish_payouts_using_subcommand create" -l release -d 'Do not hold the batch: the next `process` may pay it'
complete -c payouts -n "__fish_payouts_using_subcommand create" -l from-statements -d 'What is left of each payable royalty statement'
complete -c payouts -n "__fish_payouts_using_subcommand create" -l repay -d 'Also pay again what was taken back of a statement at Stripe'
complete -c payouts -n "__fish_payouts_using_subcommand create" -l partial -d 'Allow less than what is left of a statement'
complete -c payouts -n "__fish_payouts_using_subcommand create" -l dry-run -d 'Do everything but write, and say what would be created'
complete -c payouts -n "__fish_payouts_using_subcommand create" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand create" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand create" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand create" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -f -a "list" -d 'List creators'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -f -a "show" -d 'Show one creator: details, what the payouts come to, the newest of them'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -f -a "add" -d 'Add one creator'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and not __fish_seen_subcommand_from list show add import" -f -a "import" -d 'Import creators from a CSV file'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -l limit -d 'At most this many, up to 1000' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -l after -d 'Go on behind this id, the last of the page before' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from show" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from show" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from show" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from show" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from show" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -l name -d 'The name on stage and on screen' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -l email -d 'E-mail address, unique' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -l stripe-account -d 'Where payouts go, acct_…' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -l id -d 'The id to give; made when missing' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -l onboarding-status -d 'The platform\'s word on onboarding' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -l update -d 'Let rows replace the stored name, e-mail address and Stripe account'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand creators; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand process" -l batch -d 'Only this batch; naming it releases it for this run' -r
complete -c payouts -n "__fish_payouts_using_subcommand process" -l creator -d 'Only this creator: id, e-mail or Stripe account' -r
complete -c payouts -n "__fish_payouts_using_subcommand process" -l limit -d 'At most this many payouts' -r
complete -c payouts -n "__fish_payouts_using_subcommand process" -l max-total -d 'At most this much in all, in major units such as 1250.00' -r
complete -c payouts -n "__fish_payouts_using_subcommand process" -l confirm-total -d 'The plan\'s total, said beforehand: anything else refuses' -r
complete -c payouts -n "__fish_payouts_using_subcommand process" -l plan -d 'The hash that `--dry-run` showed: any other plan refuses' -r
complete -c payouts -n "__fish_payouts_using_subcommand process" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand process" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand process" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand process" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand process" -l dry-run -d 'Show the plan, and send nothing'
complete -c payouts -n "__fish_payouts_using_subcommand process" -l accept-warnings -d 'What the plan warns of is meant'
complete -c payouts -n "__fish_payouts_using_subcommand process" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand process" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand process" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand process" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand process" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l period -d 'The transfers made in this time: 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now), or two RFC 3339 times as A..B' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l from -d 'From this day, month or RFC 3339 time on' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l to -d 'Up to this day or month, included, or this RFC 3339 time' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l tz -d 'Whose days and months are meant, such as Europe/Berlin; also the zone of a report that was asked for in another than UTC' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l show -d 'Print what the comparison of this run found, as it stood then, instead of comparing; `last` is the last one' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l diff -d 'Print only what is open and was not in the comparison of this run, and what is gone since; `last` is the last one' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l file -d 'Compare with this report of Stripe\'s; - reads standard input' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l map -d 'What the file calls a column, such as gross=Betrag; may be repeated' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l decimal -d 'What stands before the decimals: \'.\', or \',\' as in 1.250,00' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l encoding -d 'utf-8, utf-16le, utf-16be or windows-1252, where the file does not say itself' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l accept -d 'Accept this finding as it is, instead of comparing; may be repeated' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l reason -d 'Why it is accepted' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l resume -d 'Go on from where the last comparison was cut off, over the same time'
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l no-balance -d 'Leave out the lines of Stripe\'s balance: half the pages to read'
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l fix -d 'Apply the repairs that are provably safe'
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand reconcile" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l code -d 'Those that Stripe refused with this code, such as `resource_missing`, once somebody has seen to the cause' -r
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l batch -d 'Of those, only this batch' -r
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l creator -d 'Of those, only this creator: id, e-mail or Stripe account' -r
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l limit -d 'Of those, at most this many, oldest first' -r
complete -c payouts -n "__fish_payouts_using_subcommand retry" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l due -d 'Those that need no person and whose back-off has elapsed; for cron'
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l all -d 'Those that need no person, back-off or not'
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l force -d 'Also those that failed as often as `PAYOUTS_MAX_RETRIES` allows'
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l dry-run -d 'Show what would be done, and do nothing'
complete -c payouts -n "__fish_payouts_using_subcommand retry" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand retry" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand retry" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand retry" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -l paid -d 'Record this transfer as the payout\'s' -r
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -l reason -d 'Why, for the record' -r
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -l release -d 'Let go of the attempt, so that the payout is sent again'
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand resolve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l batch -d 'A batch' -r
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l creator -d 'A creator: id, e-mail or Stripe account' -r
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l reason -d 'Why, for whoever meets the hold' -r
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l until -d 'When it ends by itself: a day, whose beginning is meant, an RFC 3339 time, or 7d or 12h from now; without it, when it is released' -r
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l tz -d 'Whose day is meant, such as Europe/Berlin' -r
complete -c payouts -n "__fish_payouts_using_subcommand hold" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l all -d 'Everything: the switch'
complete -c payouts -n "__fish_payouts_using_subcommand hold" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand hold" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand hold" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand hold" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand hold" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand release" -l batch -d 'A batch' -r
complete -c payouts -n "__fish_payouts_using_subcommand release" -l creator -d 'A creator: id, e-mail or Stripe account' -r
complete -c payouts -n "__fish_payouts_using_subcommand release" -l reason -d 'Why, for the record' -r
complete -c payouts -n "__fish_payouts_using_subcommand release" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand release" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand release" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand release" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand release" -l all -d 'Everything: the switch'
complete -c payouts -n "__fish_payouts_using_subcommand release" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand release" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand release" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand release" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand approve" -l reason -d 'Why, for the record' -r
complete -c payouts -n "__fish_payouts_using_subcommand approve" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand approve" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand approve" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand approve" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand approve" -l withdraw -d 'Take approvals back instead, whoever gave them'
complete -c payouts -n "__fish_payouts_using_subcommand approve" -l dry-run -d 'Show what would be approved, and approve nothing'
complete -c payouts -n "__fish_payouts_using_subcommand approve" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand approve" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand approve" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand approve" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand approve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -l batch -d 'All of this batch' -r
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -l reason -d 'Why, for the record' -r
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -f -a "list" -d 'List batches, newest first'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and not __fish_seen_subcommand_from list show" -f -a "show" -d 'Show one batch: where it came from, whether it is held, what became of it'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -l limit -d 'At most this many, up to 1000' -r
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -l after -d 'Go on behind this id, the last of the page before' -r
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from show" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from show" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from show" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from show" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from show" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand batches; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -f -a "list" -d 'List statements'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -f -a "show" -d 'Show one statement: what is owed, what of it is paid, its payouts'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -f -a "add" -d 'Add one statement'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and not __fish_seen_subcommand_from list show add import" -f -a "import" -d 'Import statements from a CSV file'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -l creator -d 'Only this creator\'s: id, e-mail address or Stripe account' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -l run -d 'Only this royalty run\'s' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -l status -d 'Only in this state; may be given several times' -r -f -a "PENDING\t''
REVIEWED\t''
DISPUTED\t''
RESOLVED\t''
PAID\t''"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -l limit -d 'At most this many, up to 1000' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -l after -d 'Go on behind this id, the last of the page before' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from show" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from show" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from show" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from show" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from show" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l creator -d 'Whom it is owed to: id, e-mail address or Stripe account' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l run -d 'The royalty run it is of; made when missing, with a period' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l period -d 'The month of a new royalty run, such as 2026-10' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l net-payable -d 'What is owed, in major units, such as 500.00' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l total-earnings -d 'Before the platform\'s fee; net payable and fee together when missing' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l platform-fee -d 'The platform\'s fee; nothing when missing' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l status -d 'Where it stands; REVIEWED when missing' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l id -d 'The id to give; made when missing' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from import" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from import" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from import" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from import" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from import" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from import" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand statements; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -f -a "list" -d 'List runs of commands that write, newest first'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and not __fish_seen_subcommand_from list show" -f -a "show" -d 'Show one run: who began it and how, what it did, what failed, what to do next'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l command -d 'Only of this command, such as process or reconcile' -r
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l actor -d 'Only those of this actor' -r
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l period -l since -d 'Only those begun in this time: 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now), or two RFC 3339 times as A..B' -r
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l tz -d 'Whose days and months are meant, such as Europe/Berlin' -r
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l limit -d 'At most this many, up to 1000' -r
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l after -d 'Go on behind this id, the last of the page before' -r
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l failed -d 'Only those that did not end well: with another code than 0, or dead'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l alive -d 'Only those that are at work now'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l dead -d 'Only those that were killed'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from show" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from show" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from show" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from show" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from show" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand runs; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand report" -l period -d 'Of which time: 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now), or two RFC 3339 times as A..B' -r
complete -c payouts -n "__fish_payouts_using_subcommand report" -l tz -d 'Whose days and months are meant, such as Europe/Berlin' -r
complete -c payouts -n "__fish_payouts_using_subcommand report" -l to -d 'With --output html: write the page to this file, for its owner alone, instead of stdout' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand report" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand report" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand report" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand report" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand report" -l summary -d 'Only the lines, no payouts'
complete -c payouts -n "__fish_payouts_using_subcommand report" -l force -d 'Write over the file if it is there'
complete -c payouts -n "__fish_payouts_using_subcommand report" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand report" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand report" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand report" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l period -d 'Of which time: 2026, 2026-10, 2026-10-05, 2026-10-01..2026-10-31 (both days included), 7d or 12h (back from now), or two RFC 3339 times as A..B' -r
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l tz -d 'Whose days, weeks and months are meant, such as Europe/Berlin' -r
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l by -d 'A line for each day, week (from Monday on), month, year or creator' -r -f -a "day\t''
week\t''
month\t''
year\t''
creator\t''"
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l limit -d 'Lines of creators that a table or a chart shows, those paid most first [default: 20]' -r
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l chart -d 'Draw bars in place of the table: of the amount paid, or of what is named; by day unless --by says otherwise' -r -f -a "amount\t'How much was paid'
count\t'How many were paid'
success\t'The success rate'
failures\t'Attempts that were refused'
time\t'The median time to paid'"
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l to -d 'With --output prometheus: replace this file in one step, instead of stdout' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand stats" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand stats" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand stats" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand stats" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand stats" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -f -a "listen" -d 'Take in the events that Stripe delivers'
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -f -a "pull" -d 'Ask Stripe for the events since the last time'
complete -c payouts -n "__fish_payouts_using_subcommand events; and not __fish_seen_subcommand_from listen pull list" -f -a "list" -d 'List the events that came, and what became of them'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -l listen -d 'Where to listen; port 0 takes any that is free' -r
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -l path -d 'Take deliveries at this path only, such as /stripe' -r
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -l tolerance -d 'How far the time of a signature may lie from now' -r
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -l allow-remote -d 'Allow an address that other machines can reach; Stripe delivers over HTTPS only, so something in front of it must speak that'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from listen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from pull" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from pull" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from pull" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from pull" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from pull" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from pull" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from pull" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -l limit -d 'At most this many, up to 1000' -r
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -l after -d 'Go on behind this id, the last of the page before' -r
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -l pending -d 'Only those that wait to be applied'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand events; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -l kind -d 'Only mails of this kind; where none waits, a sample' -r -f -a "paid\t''
failed\t''
digest\t''
alert\t''"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -l html -d 'Write the page of the first mail to this file, for its owner alone' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -l preview -d 'Print what would be sent, and send nothing'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -l force -d 'Write over the file if it is there'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -a "list" -d 'List the mails that wait, were sent, or were given up'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -a "on" -d 'Switch kinds of mail on'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and not __fish_seen_subcommand_from list on off" -a "off" -d 'Switch kinds of mail off, for everybody or for one creator'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -l state -d 'Only mails in this state' -r -f -a "waiting\t''
sending\t''
sent\t''
failed\t''
dropped\t''
no_address\t''"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -l kind -d 'Only mails of this kind' -r -f -a "paid\t''
failed\t''
digest\t''
alert\t''"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -l about -d 'Only what is about this payout, run or alert' -r
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -l limit -d 'At most this many, up to 1000' -r
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -l after -d 'Go on behind this id, the last of the page before' -r
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -l creator -d 'Only for this creator: id, e-mail or Stripe account' -r
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from on" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -l creator -d 'Only for this creator: id, e-mail or Stripe account' -r
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand notify; and __fish_seen_subcommand_from off" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -l status -d 'Only say what has run and what has not'
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -l dry-run -d 'Print the SQL that would run, and run nothing'
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -l revert -d 'Take the newest migration back; refused where that would lose anything'
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand migrate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand init" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand init" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand init" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand init" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand init" -l status -d 'Only say what has run and what has not'
complete -c payouts -n "__fish_payouts_using_subcommand init" -l dry-run -d 'Print the SQL that would run, and run nothing'
complete -c payouts -n "__fish_payouts_using_subcommand init" -l revert -d 'Take the newest migration back; refused where that would lose anything'
complete -c payouts -n "__fish_payouts_using_subcommand init" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand init" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand init" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand init" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -l verify-history -d 'Check instead that nobody changed the history'
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand backup" -l keep -d 'Of the backups that are named after their moments in that folder, keep this many' -r
complete -c payouts -n "__fish_payouts_using_subcommand backup" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand backup" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand backup" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand backup" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand backup" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand backup" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand backup" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand backup" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand demo" -l folder -d 'A new folder for the database and the sample files' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand demo" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand demo" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand demo" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand demo" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand demo" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand demo" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand demo" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand demo" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l listen -d 'Where to listen; port 0 takes any that is free' -r
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l balance -d 'Money in the platform\'s balance, in minor units of the currency' -r
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l currency -d 'The currency of the balance' -r
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l rate -d 'Requests per second; more are refused with 429' -r
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l latency -d 'Milliseconds every answer takes' -r
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l faults -d 'What goes wrong: a JSON file, see `GET /_sandbox`' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l state -d 'Keep the books in this file between two runs' -r -F
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l seed -d 'The same ids at every start' -r
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l webhook -d 'Post signed events to this address on this machine' -r
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l allow-remote -d 'Allow an address that other machines can reach; nothing is protected'
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand sandbox" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand completions" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand completions" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand completions" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand completions" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand completions" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand completions" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand completions" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand completions" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand help" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand help" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand help" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand help" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand help" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand help" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand help" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand help" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c payouts -n "__fish_payouts_using_subcommand check" -l failure-percent -d 'Critical when more of the decided payouts failed, per cent' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l failure-within -d 'The time that share is taken of' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l failure-sample -d 'Fewer decided payouts make no share' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l stuck-after -d 'Critical when a payout is on the way or of unknown outcome for longer' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l failed-attempts -d 'Warn of payouts that failed more often' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l failed-after -d 'Warn of payouts that have been failed for longer' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l unusual-times -d 'Warn of new payouts further from the creator\'s median than this many times the usual spread' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l forecast -d 'Warn when the balance does not cover what is usually paid in this time; 0s: no forecast' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l process-within -d 'Warn when `payouts process` has not run to its end for longer; 0s: it need not' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l reconcile-within -d 'Warn when `payouts reconcile` has compared nothing that is younger; 0s: it need not' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -s o -l output -d 'How the answer is written to stdout' -r -f -a "table\t'Columns for people'
json\t'One documented object'
ndjson\t'One object a line, streamed'
csv\t'Comma-separated, streamed, safe to open in a spreadsheet'
html\t'A page that stands alone, to read and to print; `report` only'
prometheus\t'Metrics for a monitor; `stats` only'"
complete -c payouts -n "__fish_payouts_using_subcommand check" -l log-format -d 'How narration is written to stderr; `PAYOUTS_LOG_FORMAT` says it for good' -r -f -a "text\t'Words for people'
json\t'One JSON object a line; `payouts help json log` is its schema'"
complete -c payouts -n "__fish_payouts_using_subcommand check" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise'
always\t'Always'
never\t'Never'"
complete -c payouts -n "__fish_payouts_using_subcommand check" -l database-url -d 'Database to use instead of `DATABASE_URL`' -r
complete -c payouts -n "__fish_payouts_using_subcommand check" -l mail -d 'Mail the operators each alert once when it comes, again when there is much more of it, and once when it goes: writes to the outbox, which `payouts notify` sends'
complete -c payouts -n "__fish_payouts_using_subcommand check" -l history -d 'Also read the whole history and verify it: takes seconds for each million rows'
complete -c payouts -n "__fish_payouts_using_subcommand check" -l offline -d 'Ask Stripe nothing'
complete -c payouts -n "__fish_payouts_using_subcommand check" -s q -l quiet -d 'Say nothing on stderr but warnings and errors'
complete -c payouts -n "__fish_payouts_using_subcommand check" -s v -l verbose -d 'Say each request and each decision; twice, how it came to them'
complete -c payouts -n "__fish_payouts_using_subcommand check" -s y -l yes -d 'Ask nothing'
complete -c payouts -n "__fish_payouts_using_subcommand check" -l live -d 'Allow a key that moves real money'
complete -c payouts -n "__fish_payouts_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'

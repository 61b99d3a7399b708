//! `payouts demo`.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::{Exit, Exits};
use crate::cli::only_text;
use crate::env_vars;
use crate::model::ids::IdMaker;
use crate::ops::out_file;
use crate::sandbox::{Fault, FaultPlan, FaultRule, Options, Sandbox, SandboxHandle};

/// Run the whole job on sample data, offline
///
/// Makes a fresh database with sample creators and statements, starts the Stripe
/// simulator inside, and runs the real commands one after the other: import,
/// create, list, process with a declined payout and lost answers, show, process
/// again, retry, reconcile before and after a transfer is taken back. Leaves the
/// database and says how to look on. Nothing leaves this machine.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// A new folder for the database and the sample files
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

const FILES: [(&str, &str); 4] = [
    ("creators.csv", include_str!("demo_data/creators.csv")),
    ("statements.csv", include_str!("demo_data/statements.csv")),
    ("correction.csv", include_str!("demo_data/correction.csv")),
    ("october.csv", include_str!("demo_data/october.csv")),
];

pub(super) fn run(cx: &Context, args: &DemoArgs) -> Result<Exits, CliError> {
    only_text(cx.format, "demo", "a story for people")?;
    let folder = new_folder(cx, args)?;
    for (name, text) in FILES {
        out_file::write(&folder.join(name), text.as_bytes(), false)
            .map_err(|e| failed(&folder, &e))?;
    }
    let stripe = start_stripe()?;
    let stage = Stage {
        cx,
        folder: &folder,
        stripe: &stripe,
    };

    stage.say("A fresh database, and the creators and statements of the platform.")?;
    stage.run(&["init"], &[Exit::Done])?;
    stage.run(&["creators", "import", "creators.csv"], &[Exit::Done])?;
    stage.run(&["statements", "import", "statements.csv"], &[Exit::Done])?;

    stage.say("October's payouts come from a spreadsheet. A new batch is held until somebody has looked at it.")?;
    stage.run(&["create", "--file", "october.csv"], &[Exit::Done])?;
    stage.run(&["list"], &[Exit::Done])?;
    let batch = stage.batch()?;
    stage.run(&["release", &batch], &[Exit::Done])?;

    stage.say("What would be sent, and from what balance.")?;
    stage.run(&["process", "--dry-run"], &[Exit::Done])?;

    stage.say(
        "Now it is paid. One creator's account is closed, one answer is lost on the way (it is asked for \
         again under the same key), and for one payout Stripe makes the transfer and then answers 500.",
    )?;
    stage.run(&["process"], &[Exit::Unresolved])?;

    stage.say("What happened to the one that nobody knows about, and what to do next.")?;
    stage.run(&["show", "OCT-2026-005"], &[Exit::Done])?;

    stage.say("The next run looks at Stripe before it sends anything, and finds the transfer.")?;
    stage.run(&["process"], &[Exit::Done])?;
    stage.run(&["list"], &[Exit::Done])?;
    stage.run(&["show", "OCT-2026-006"], &[Exit::Done])?;

    stage.say("The creator has a new account at Stripe. With that corrected, what Stripe refused goes back into the queue.")?;
    stage.run(
        &["creators", "import", "correction.csv", "--update"],
        &[Exit::Done],
    )?;
    stage.run(&["retry", "--code", "resource_missing"], &[Exit::Done])?;
    stage.run(&["process"], &[Exit::Done])?;

    stage.say("Is all of it the same at Stripe? Compared transfer by transfer, both ways.")?;
    stage.run(&["reconcile"], &[Exit::Done])?;

    stage.say("Somebody takes 100.00 USD of one transfer back, in Stripe's dashboard.")?;
    stage.take_back("acct_1DemoAurora", 10_000)?;
    stage.run(&["reconcile"], &[Exit::Attention])?;
    stage.run(&["reconcile", "--fix"], &[Exit::Done])?;
    stage.run(&["list", "--creator", "aurora"], &[Exit::Done])?;

    stage.judge()?;
    let database = database(&folder);
    stage.say("Look on yourself:")?;
    cx.ui.answer(&format!(
        "  export DATABASE_URL={database}\n  payouts list\n  payouts creators list\n\n\
         For a Stripe to pay against, run `payouts sandbox` in another terminal."
    ))?;
    Ok(Exit::Done.into())
}

/// Runs commands and shows them as they would be typed.
struct Stage<'a> {
    cx: &'a Context,
    folder: &'a Path,
    stripe: &'a SandboxHandle,
}

impl Stage<'_> {
    fn say(&self, text: &str) -> Result<(), CliError> {
        Ok(self.cx.ui.answer(&format!("\n# {text}"))?)
    }

    /// Runs a command whose output goes straight to the screen.
    fn run(&self, args: &[&str], expected: &[Exit]) -> Result<(), CliError> {
        self.cx
            .ui
            .answer(&format!("\n$ payouts {}", args.join(" ")))?;
        let status = self
            .command(args)?
            .status()
            .map_err(|e| failed(self.folder, &e))?;
        let code = status.code().unwrap_or(i32::from(Exit::Bug.code()));
        if code != 0 {
            self.cx.ui.answer(&format!("(exit code {code})"))?;
        }
        if expected.iter().any(|exit| i32::from(exit.code()) == code) {
            return Ok(());
        }
        Err(CliError::new(
            Exit::Bug,
            format!(
                "the demo expected another end of `payouts {}`",
                args.join(" ")
            ),
        ))
    }

    fn command(&self, args: &[&str]) -> Result<Command, CliError> {
        let program = std::env::current_exe().map_err(|e| failed(self.folder, &e))?;
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.folder)
            .stdin(Stdio::null());
        // Settings of the person's own must not lead the demo elsewhere.
        for variable in env_vars::ALL {
            command.env_remove(variable.name);
        }
        command
            .env(env_vars::DATABASE_URL.name, database(self.folder))
            .env(env_vars::ACTOR.name, "demo");
        for line in self.stripe.env_lines() {
            if let Some((name, value)) = line.split_once('=') {
                command.env(name, value);
            }
        }
        Ok(command)
    }

    /// The id of the batch that was loaded.
    fn batch(&self) -> Result<String, CliError> {
        let output = self
            .command(&["batches", "list", "--output", "json"])?
            .output()
            .map_err(|e| failed(self.folder, &e))?;
        serde_json::from_slice::<serde_json::Value>(&output.stdout)
            .ok()
            .and_then(|answer| Some(answer["batches"][0]["id"].as_str()?.to_owned()))
            .ok_or_else(|| CliError::new(Exit::Bug, "the demo's batch is not listed"))
    }

    /// Takes money back from the transfer to an account.
    fn take_back(&self, account: &str, cents: i64) -> Result<(), CliError> {
        let ledger = self.stripe.ledger();
        let transfer = ledger
            .transfers()
            .find(|transfer| &*transfer.destination == account)
            .ok_or_else(|| CliError::new(Exit::Bug, format!("{account} was not paid")))?;
        self.stripe.reverse(&transfer.id, cents).map_err(|e| {
            CliError::caused(
                Exit::Bug,
                "failed to take a transfer back in the simulator",
                &e,
            )
        })
    }

    /// What the simulator's own books say.
    fn judge(&self) -> Result<(), CliError> {
        let ledger = self.stripe.ledger();
        let twice: usize = ledger
            .accounts
            .iter()
            .map(|a| a.paid_more_than_once.len())
            .sum();
        let made = ledger.transfers().count();
        self.say(&format!(
            "The simulator's own books: {made} transfers for 8 payouts; paid twice: {twice}."
        ))?;
        if made == 8 && twice == 0 {
            return Ok(());
        }
        Err(CliError::new(
            Exit::Bug,
            "the simulator's books do not agree with what was to be paid",
        ))
    }
}

fn database(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("payouts.db").display())
}

fn new_folder(cx: &Context, args: &DemoArgs) -> Result<PathBuf, CliError> {
    let folder = if let Some(folder) = &args.folder {
        std::path::absolute(folder).map_err(|e| failed(folder, &e))?
    } else {
        let id = IdMaker::new(cx.clock.now()).next_id().map_err(|e| {
            CliError::caused(Exit::CouldNotRun, "failed to name the demo's folder", &e)
        })?;
        std::env::temp_dir().join(format!("payouts-demo-{id}"))
    };
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|e| failed(&folder, &e).hint("--folder takes the name of a new folder"))?;
    Ok(folder)
}

fn failed(folder: &Path, error: &dyn std::error::Error) -> CliError {
    CliError::caused(
        Exit::CouldNotRun,
        format!("failed to set up the demo in {}", folder.display()),
        error,
    )
}

/// A Stripe that loses one answer and fails once after the transfer was made.
fn start_stripe() -> Result<SandboxHandle, CliError> {
    let once = |account: &str, fault| FaultRule {
        destination: Some(account.to_owned()),
        ..FaultRule::on("transfers.create", fault).times(1)
    };
    Sandbox::spawn(Options {
        faults: FaultPlan::of([
            once("acct_1DemoCinder", Fault::ResetAfter),
            once("acct_1DemoEmber", Fault::Error500After),
        ]),
        ..Options::at_free_port()
    })
    .map_err(|e| CliError::caused(Exit::CouldNotRun, "failed to start the simulator", &e))
}

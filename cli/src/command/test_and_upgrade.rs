//! `pum test-and-upgrade`

use clap::Args;
use pum::Result;

use crate::Exit;
use crate::command::test::Test;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  pum test-and-upgrade -pp water_prod -t water_sys.info -d deltas -f water.backup
  pum test-and-upgrade -pp water_prod -pt water_test -pc water_new -t water_sys.info -d deltas -f water.backup --yes";

/// Rehearse an upgrade on a copy of production, and upgrade production when it is proved
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestAndUpgrade {
    #[command(flatten)]
    pub(crate) rehearsal: Test,

    /// Answer the questions with yes
    #[arg(short, long)]
    yes: bool,
}

pub(crate) fn run(args: TestAndUpgrade, session: &Session) -> Result<Exit> {
    let _ = (args, session);
    Err(pum::Error::new(pum::ErrorKind::Usage, "this command is not there yet"))
}

//! A copy by dump and restore, all of it in the one snapshot of production.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::database::{database_name, maintenance, prepare};
use super::{Flow, Source};
use crate::connection::Connection;
use crate::dump::{DumpOptions, RestoreOptions, Restored, Selection, dump_for_copy, restore_dump};
use crate::error::{ErrorKind, Result};
use crate::rehearsal::{COPY, shown};
use crate::run::{Event, Run};
use crate::server::PrivateDirectory;
use crate::target::Target;

impl Flow<'_> {
    pub(super) fn dump_options(&self, snapshot: &str, jobs: usize) -> DumpOptions {
        let options = self.options;
        DumpOptions {
            snapshot: Some(snapshot.to_owned()),
            lock_timeout: Some(options.lock_wait),
            jobs,
            pg_dump: options.pg_dump.clone(),
            pg_restore: options.pg_restore.clone(),
            ..DumpOptions::default()
        }
    }

    pub(super) fn restore_options(&self) -> RestoreOptions {
        let options = self.options;
        RestoreOptions {
            exclude_schemas: options.exclude_schemas.clone(),
            ignore_errors: options.ignore_restore_errors,
            jobs: self.jobs(),
            pg_restore: options.pg_restore.clone(),
            into_existing: true,
            ..RestoreOptions::default()
        }
    }

    pub(in crate::rehearsal) fn jobs(&self) -> usize {
        match self.options.jobs {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(4),
            jobs => jobs,
        }
    }

    /// A test server of another version plans and locks otherwise.
    pub(super) fn tell_version(&self, major: u32, test: &Target) -> Result<()> {
        let Some(beside) = maintenance(test, self.run) else {
            return Ok(());
        };
        let found = beside.server_version();
        if found.major() != major {
            self.run.emit(Event::Warning(format!(
                "the server of the copy is PostgreSQL {found} and production's {major}: locks and times may be others there"
            )));
        }
        Ok(())
    }

    pub(super) fn by_restore(&mut self, source: Source<'_>, backup: Option<&Path>, test: &Target) -> Result<Restored> {
        let (options, run) = (self.options, self.run);
        let Source {
            mut production,
            snapshot,
            history,
            like,
            ..
        } = source;
        let private = PrivateDirectory::new()?;
        let mut rows = None;
        let mut views = Vec::new();
        let file = match backup {
            Some(file) => file.to_owned(),
            None => {
                let what = if options.schema_only { "the structure of " } else { "" };
                self.phase(format!("copy {what}{} by dump and restore: dump", self.production))?;
                let selection = Selection {
                    schema_only: options.schema_only,
                    without_rows: options.exclude_schemas.clone(),
                    ..Selection::default()
                };
                let jobs = if options.schema_only { 1 } else { self.jobs() };
                let dump_options = self.dump_options(&snapshot, jobs);
                let file = dump_for_copy(self.production, &private, &selection, &dump_options, run)?;
                if options.schema_only {
                    views = populated(&mut production, &options.exclude_schemas)?;
                }
                if options.schema_only && history.is_some() {
                    // What is applied is no data of production's but its state.
                    let table = &options.upgrade.table;
                    let selection = Selection {
                        rows_of: Some([table.schema.clone(), table.name.clone()]),
                        ..Selection::default()
                    };
                    let dump_options = self.dump_options(&snapshot, 1);
                    rows = Some(dump_for_copy(
                        self.production,
                        &private,
                        &selection,
                        &dump_options,
                        run,
                    )?);
                }
                file
            }
        };
        let major = production.server_version().major();
        production.rollback();
        drop(production);

        let what = if backup.is_some() { "the backup" } else { "the dump" };
        self.phase(format!("restore {what} into {}", shown(COPY, options.test.as_ref())))?;
        self.tell_version(major, test)?;
        prepare(test, like, options.overwrite, run)?;
        let restore_options = self.restore_options();
        let total = if options.schema_only { 0 } else { like.sizes.database };
        let restored = growing(test, total, run, |run| {
            restore_dump(&file, backup.is_none(), test, &restore_options, run)
        })?;
        if let Some(rows) = rows {
            let one = RestoreOptions {
                jobs: 1,
                ..restore_options
            };
            restore_dump(&rows, true, test, &one, &run.quietly())?;
        }
        if options.schema_only {
            populate(test, views, run)?;
        } else {
            analyze(test, run)?;
        }
        Ok(restored)
    }
}

/// The materialized views that can be read in production.
pub(super) fn populated(production: &mut Connection, excluded: &[String]) -> Result<Vec<String>> {
    let views = production.query(
        "select nspname::text, format('%I.%I', nspname, relname) from pg_class c \
         join pg_namespace n on n.oid = relnamespace where relkind = 'm' and relispopulated order by c.oid",
        &[],
    )?;
    Ok(views
        .iter()
        .filter(|row| !excluded.iter().any(|schema| schema == row.text(0)))
        .map(|row| row.text(1).to_owned())
        .collect())
}

/// Makes materialized views readable, as they are in production: a dump of the structure leaves that out.
pub(super) fn populate(test: &Target, mut views: Vec<String>, run: &Run) -> Result<()> {
    let mut copy = Connection::open_for_scripts(test, &run.quietly())?;
    let timeouts = copy.timeouts("set");
    copy.execute(&timeouts)?;
    loop {
        let before = views.len();
        let mut words = String::new();
        // One can be made out of another that comes later.
        views.retain(|view| {
            let refreshed = copy.execute(&format!("refresh materialized view {view}"));
            if let Err(error) = &refreshed {
                words = error.message().to_owned();
            }
            refreshed.is_err()
        });
        run.go_on()?;
        if views.is_empty() {
            return Ok(());
        }
        if views.len() == before {
            run.emit(Event::Warning(format!(
                "materialized views of the copy could not be filled ({}): {words}",
                views.join(", ")
            )));
            return Ok(());
        }
    }
}

/// A restore has no statistics, without which the upgrade would be planned otherwise than in production.
///
/// What has foreign partitions stays without: ANALYZE reads them too, with production's user and password at the server that
/// production reads.
pub(super) fn analyze(test: &Target, run: &Run) -> Result<()> {
    let quietly = run.quietly();
    let analyzed = Connection::open(test, &quietly).and_then(|mut beside| {
        let tables = beside.query(WITHOUT_FOREIGN_PARTITIONS, &[])?;
        let mut copy = Connection::open_for_scripts(test, &quietly)?;
        let timeouts = copy.timeouts("set");
        let tables = tables.value(0, 0).unwrap_or_default();
        copy.execute(&format!("{timeouts}; set lock_timeout = 0; analyze {tables}"))
    });
    match analyzed {
        Err(error) if error.kind() == ErrorKind::Server => {
            run.emit(Event::Warning(format!(
                "the copy could not be analyzed, and plans in it may be slower than production's: {}",
                error.message()
            )));
            Ok(())
        }
        other => other,
    }
}

/// The tables to analyze, where they cannot be all; else nothing.
const WITHOUT_FOREIGN_PARTITIONS: &str = "with recursive reaches as (
    select i.inhparent as parent from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'f'
    union
    select i.inhparent from reaches r join pg_inherits i on i.inhrelid = r.parent
)
select string_agg(format('%I.%I', n.nspname, c.relname), ', ')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm') and c.relpersistence <> 't' and exists (select from reaches)
    and c.oid not in (select parent from reaches)";

/// How often the size of a growing database is asked for.
const INTERVAL: Duration = Duration::from_millis(500);

/// Does work that fills a database, and tells how far it is in bytes of `total`, the size of the database that is copied.
fn growing<T>(test: &Target, total: u64, run: &Run, work: impl FnOnce(&Run) -> Result<T>) -> Result<T> {
    // Beside it: who works on it is asked for by others.
    let beside = maintenance(test, &run.quietly());
    let Some(mut beside) = beside.filter(|_| total > 0) else {
        return work(run);
    };
    let name = database_name(test, run)?;
    let tell = |done: u64| {
        run.emit(Event::Progress {
            done: done.min(total),
            total: Some(total),
            unit: "bytes",
        });
    };
    // What the restore itself counts is in other units.
    let outer = run.clone();
    let inner = run.clone().on_event(move |event| {
        if !matches!(event, Event::Progress { .. }) {
            outer.emit(event);
        }
    });
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while waiting.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                match beside.query("select pg_database_size($1::name)::text", &[Some(&name)]) {
                    Ok(rows) => tell(rows.value(0, 0).and_then(|bytes| bytes.parse().ok()).unwrap_or(0)),
                    Err(_) => return,
                }
            }
        });
        let outcome = work(&inner);
        drop(done);
        if outcome.is_ok() {
            tell(total);
        }
        outcome
    })
}

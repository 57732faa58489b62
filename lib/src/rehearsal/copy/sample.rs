//! A copy with a sample of the rows of large tables, in the one snapshot of production.
//!
//! The structure and the small tables come by dump and restore; before there are indexes, constraints and triggers, the
//! sample is streamed from session to session: rows that are drawn by `TABLESAMPLE`, and rows that they need for their
//! foreign keys.

mod closure;

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::database::prepare;
use super::restored::{analyze, populate, populated};
use super::{Flow, Source};
use crate::connection::{Connection, quote_identifier, quote_literal};
use crate::dump::{Restored, Selection, Stage, dump_for_copy, restore_stage};
use crate::error::{Error, ErrorKind, Result};
use crate::history::TableName;
use crate::rehearsal::{COPY, shown};
use crate::report::page::thousands;
use crate::run::{Event, Run};
use crate::server::PrivateDirectory;
use crate::target::Target;

/// How much of the rows of large tables is copied, in per cent, such as `5%` or `0.5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, schemars(with = "String"))]
pub struct Sample {
    // In millionths of the rows.
    millionths: u32,
}

impl Sample {
    /// The part in per cent: more than 0 and less than 100.
    pub fn percent(self) -> f64 {
        f64::from(self.millionths) / 10_000.0
    }

    /// So much of that.
    pub(super) fn of(self, amount: u64) -> u64 {
        u64::try_from(u128::from(amount) * u128::from(self.millionths) / 1_000_000).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

impl From<Sample> for String {
    fn from(sample: Sample) -> String {
        sample.to_string()
    }
}

impl TryFrom<String> for Sample {
    type Error = Error;

    fn try_from(text: String) -> Result<Sample> {
        text.parse()
    }
}

impl FromStr for Sample {
    type Err = Error;

    fn from_str(text: &str) -> Result<Sample> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let millionths = number.parse::<f64>().ok().map(|percent| (percent * 10_000.0).round());
        match millionths {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Some(millionths) if (1.0..1_000_000.0).contains(&millionths) => Ok(Sample {
                millionths: millionths as u32,
            }),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!("\"{}\" is no part of the rows to copy", text.escape_debug()),
            )
            .with_hint("give per cent, from 0.0001% to 99.9999%, such as 5%")),
        }
    }
}

/// What a sample came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sampled {
    /// What was asked for.
    pub sample: Sample,
    /// How many tables were large and have a part of their rows. The others are whole.
    pub tables: u64,
    /// The rows of these that were drawn.
    pub drawn: u64,
    /// The rows of these that came besides, because foreign keys of others refer to them.
    pub needed: u64,
}

/// What is not known of a copy with a sample; none when no table was large.
pub(super) fn unknown_of(sampled: &Sampled) -> Option<String> {
    let Sampled {
        sample,
        tables,
        drawn,
        needed,
    } = sampled;
    (*tables > 0).then(|| {
        format!(
            "the copy has a sample of {sample} of the rows of large tables ({} rows of {}, and {} more that foreign keys \
             need): times are not production's, and what the deltas do to rows is known of these only",
            thousands(drawn),
            match tables {
                1 => "1 table".to_owned(),
                _ => format!("{tables} tables"),
            },
            thousands(needed),
        )
    })
}

/// A table up to this size, without indexes, comes whole: some thousand rows.
const SMALL: u64 = 512 * 1024;
/// Where so many blocks are drawn, whole blocks make a fair sample, and the others need not be read.
const BLOCKS: u64 = 1_000;
/// About how much is handed on at once, in bytes.
const PIECE: usize = 64 * 1024;

/// A table of production, with names as SQL writes them.
#[derive(Debug, Clone)]
struct Relation {
    oid: String,
    /// Of partitions the table that is no partition itself.
    root: String,
    schema: String,
    bare: String,
    name: String,
    /// `only`, unless its rows are those of its partitions.
    only: &'static str,
    large: bool,
    pages: u64,
    /// All columns.
    every: String,
    /// Those whose values are not generated.
    loaded: String,
}

impl Relation {
    /// Reads them; of those in excluded schemas there are no rows in the copy.
    fn read(production: &mut Connection, upgrades: &TableName, excluded: &[String]) -> Result<Vec<Relation>> {
        let rows = production.query(
            include_str!("sample/relations.sql"),
            &[Some(&upgrades.schema), Some(&upgrades.name), Some(&SMALL.to_string())],
        )?;
        let relations = rows.iter().map(|row| {
            let text = |column| row.text(column).to_owned();
            Relation {
                oid: text(0),
                root: text(1),
                schema: text(2),
                bare: text(3),
                name: format!("{}.{}", quote_identifier(row.text(2)), quote_identifier(row.text(3))),
                only: if row.text(4).is_empty() { "" } else { "only" },
                large: row.text(5) == "true",
                pages: row.text(6).parse().unwrap_or(0),
                every: text(7),
                loaded: text(8),
            }
        });
        Ok(relations
            .filter(|relation| !excluded.contains(&relation.schema))
            .collect())
    }

    fn as_pair(&self) -> [String; 2] {
        [self.schema.clone(), self.bare.clone()]
    }
}

impl Flow<'_> {
    pub(super) fn by_sample(
        &mut self,
        source: Source<'_>,
        sample: Sample,
        test: &Target,
    ) -> Result<(Restored, Sampled)> {
        let (options, run) = (self.options, self.run);
        let Source {
            mut production,
            snapshot,
            like,
            ..
        } = source;
        self.phase(format!(
            "copy {} with {sample} of the rows of large tables: dump the rest",
            self.production
        ))?;
        let relations = hold(&mut production, self)?;
        let large: Vec<&Relation> = relations.iter().filter(|relation| relation.large).collect();
        let private = PrivateDirectory::new()?;
        let selection = Selection {
            without_rows: options.exclude_schemas.clone(),
            without_rows_of: large.iter().map(|relation| relation.as_pair()).collect(),
            without_large_objects: true,
            ..Selection::default()
        };
        let dump_options = self.dump_options(&snapshot, self.jobs());
        let file = dump_for_copy(self.production, &private, &selection, &dump_options, run)?;
        let views = populated(&mut production, &options.exclude_schemas)?;

        self.phase(format!("restore the dump into {}", shown(COPY, options.test.as_ref())))?;
        self.tell_version(production.server_version().major(), test)?;
        prepare(test, like, options.overwrite, run)?;
        let restore_options = self.restore_options();
        let mut restored = restore_stage(&file, Stage::UntilRows, true, test, &restore_options, run)?;

        self.phase(format!("copy {sample} of the rows of {} large tables", large.len()))?;
        let drawn = Drawing {
            production: self.production,
            snapshot: &snapshot,
            lock_wait: options.lock_wait,
            test,
            sample,
            run,
        }
        .draw(&large, self.jobs())?;
        settle_reading(&mut production, options.lock_wait)?;
        let mut copy = open_copy(test, &production, run)?;
        make_large_objects(&mut production, &mut copy, run)?;
        let needed = closure::close(&mut production, &mut copy, &relations, run)?;
        production.rollback();
        drop((production, copy));

        self.phase("build the indexes and constraints of the copy")?;
        let after = restore_stage(&file, Stage::AfterRows, true, test, &restore_options, run)?;
        restored.passed_over.extend(after.passed_over);
        restored.milliseconds += after.milliseconds;
        populate(test, views, run)?;
        analyze(test, run)?;
        let sampled = Sampled {
            sample,
            tables: large.len() as u64,
            drawn,
            needed,
        };
        Ok((restored, sampled))
    }
}

/// Reads the tables, and holds the large ones as they are until the transaction ends, as pg_dump does for its own time.
fn hold(production: &mut Connection, flow: &Flow<'_>) -> Result<Vec<Relation>> {
    let options = flow.options;
    settle_reading(production, options.lock_wait)?;
    let relations = Relation::read(production, &options.upgrade.table, &options.exclude_schemas)?;
    let large = relations.iter().filter(|relation| relation.large);
    let names: Vec<String> = large.map(|relation| format!("only {}", relation.name)).collect();
    if names.is_empty() {
        flow.run.emit(Event::Warning(
            "no table is so large that a sample of it would be taken: the copy has all rows".to_owned(),
        ));
    } else {
        production
            .execute(&format!("lock table {} in access share mode", names.join(", ")))
            .map_err(|error| {
                let denied = error.sqlstate() == Some("42501");
                let error = error.within("production's large tables cannot be read");
                match denied {
                    true => error.with_hint("rehearse as a role that may read everything, as for a dump"),
                    false => error,
                }
            })?;
    }
    Ok(relations)
}

/// Values are written so that every session reads the same.
fn settle_reading(production: &mut Connection, lock_wait: Duration) -> Result<()> {
    production.execute(&format!(
        "set local lock_timeout = {}; set local intervalstyle = postgres",
        lock_wait.as_millis()
    ))?;
    if production.server_encoding() == "SQL_ASCII" {
        // Its bytes are no text that could be converted.
        production.execute("set client_encoding = sql_ascii")?;
    }
    Ok(())
}

fn open_copy(test: &Target, production: &Connection, run: &Run) -> Result<Connection> {
    let mut copy = Connection::open(test, &run.quietly())?;
    copy.execute(
        "set default_transaction_read_only = off; set intervalstyle = postgres; set array_nulls = on; \
         set xmloption = content; set synchronous_commit = off",
    )?;
    if production.server_encoding() == "SQL_ASCII" {
        copy.execute("set client_encoding = sql_ascii")?;
    }
    Ok(copy)
}

/// Makes production's large objects, empty: they belong to the structure, and no row says which of them it needs.
fn make_large_objects(production: &mut Connection, copy: &mut Connection, run: &Run) -> Result<()> {
    let mut last = "0".to_owned();
    loop {
        let found = production.query(
            "select max(oid)::text, array_agg(oid)::text from (select oid from pg_largeobject_metadata \
             where oid > $1::oid order by oid limit 10000) l",
            &[Some(&last)],
        )?;
        let (Some(greatest), Some(some)) = (found.value(0, 0), found.value(0, 1)) else {
            break;
        };
        copy.query("select count(lo_create(oid)) from unnest($1::oid[]) oid", &[Some(some)])?;
        last = greatest.to_owned();
    }
    if last != "0" {
        run.emit(Event::Warning(
            "the copy's large objects are empty, because it has a sample of production's rows".to_owned(),
        ));
    }
    Ok(())
}

/// Streams what a query of production returns into a table of the copy. Returns how many rows there were.
fn transfer(production: &mut Connection, out: &str, copy: &mut Connection, into: &str) -> Result<u64> {
    production.begin_copy(out)?;
    let mut row = Vec::new();
    let mut ended = false;
    let mut source = || {
        let mut piece = Vec::with_capacity(PIECE);
        while !ended && piece.len() < PIECE {
            ended = !production.copied_row(&mut row)?;
            if !ended {
                piece.extend_from_slice(&row);
                piece.push(b'\n');
            }
        }
        Ok((!piece.is_empty()).then_some(piece))
    };
    let done = copy.run_statement(into, Some(&mut source));
    production.stop_copy();
    done.map(|done| done.rows)
}

/// The drawing of rows.
#[derive(Clone, Copy)]
struct Drawing<'a> {
    production: &'a Target,
    snapshot: &'a str,
    lock_wait: Duration,
    test: &'a Target,
    sample: Sample,
    run: &'a Run,
}

/// Tables that wait to be drawn from, and the rows that were drawn.
struct Drawn<'a> {
    waiting: VecDeque<&'a Relation>,
    tables: u64,
    rows: u64,
}

impl Drawing<'_> {
    /// Draws rows of all these tables, of so many at once. Returns how many were drawn.
    fn draw(self, large: &[&Relation], jobs: usize) -> Result<u64> {
        let mut waiting: Vec<&Relation> = large.to_vec();
        waiting.sort_by_key(|relation| std::cmp::Reverse(relation.pages));
        let jobs = jobs.clamp(1, large.len().max(1));
        let total = waiting.len() as u64;
        let drawn = Mutex::new(Drawn {
            waiting: waiting.into(),
            tables: 0,
            rows: 0,
        });
        let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| self.work(&drawn, total))).collect();
            let ended = |_| Err(Error::new(ErrorKind::Server, "copying the sample ended unexpectedly"));
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(ended))
                .collect()
        });
        outcomes.into_iter().collect::<Result<()>>()?;
        Ok(drawn.into_inner().unwrap_or_else(PoisonError::into_inner).rows)
    }

    fn work(self, drawn: &Mutex<Drawn<'_>>, total: u64) -> Result<()> {
        let lock = || drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            let mut production = Connection::open(self.production, &self.run.quietly())?;
            production.execute("begin isolation level repeatable read, read only")?;
            let snapshot = quote_literal(self.snapshot);
            production.execute(&format!("set transaction snapshot {snapshot}"))?;
            settle_reading(&mut production, self.lock_wait)?;
            let mut copy = open_copy(self.test, &production, self.run)?;
            loop {
                let next = lock().waiting.pop_front();
                let Some(relation) = next else {
                    return Ok(());
                };
                let rows = self.draw_from(relation, &mut production, &mut copy)?;
                let mut drawn = lock();
                drawn.tables += 1;
                drawn.rows += rows;
                self.run.emit(Event::Progress {
                    done: drawn.tables,
                    total: Some(total),
                    unit: "tables",
                });
            }
        };
        let outcome = work();
        if outcome.is_err() {
            // The others end with the table that they are at.
            lock().waiting.clear();
        }
        outcome
    }

    /// The same rows each time, as long as they lie where they do.
    fn draw_from(self, relation: &Relation, production: &mut Connection, copy: &mut Connection) -> Result<u64> {
        let Relation { name, loaded, .. } = relation;
        let method = match self.sample.of(relation.pages) {
            BLOCKS.. => "system",
            _ => "bernoulli",
        };
        let out = format!(
            "copy (select {loaded} from only {name} tablesample pg_catalog.{method} ({}) repeatable (0)) to stdout",
            self.sample.percent()
        );
        transfer(production, &out, copy, &format!("copy {name} ({loaded}) from stdin"))
            .map_err(|error| error.within(format_args!("the sample of {name} cannot be copied")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_per_cent() {
        for (text, told) in [
            ("5%", "5%"),
            ("0.5", "0.5%"),
            ("12.25 %", "12.25%"),
            ("0.0001%", "0.0001%"),
        ] {
            assert_eq!(text.parse::<Sample>().unwrap().to_string(), told);
        }
        for text in ["", "%", "0%", "0.00001%", "100%", "-5%", "nan", "inf%", "five"] {
            assert_eq!(text.parse::<Sample>().unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
        let sample: Sample = "5%".parse().unwrap();
        assert_eq!(
            (sample.of(1_000), sample.of(u64::MAX) / 1_000_000_000_000_000_000),
            (50, 0)
        );
        assert_eq!(serde_json::to_string(&sample).unwrap(), "\"5%\"");
        assert_eq!(serde_json::from_str::<Sample>("\"5%\"").unwrap(), sample);
        assert!(serde_json::from_str::<Sample>("\"500%\"").is_err());
    }
}

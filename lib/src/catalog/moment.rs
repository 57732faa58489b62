//! The moment at which a catalog is read. The rows of the catalogs are those of one snapshot, but what PostgreSQL's
//! functions tell of them (definitions, expressions, names) is of the newest state: who changes the structure meanwhile
//! leaves a mixture.

use crate::connection::{Connection, Rows};
use crate::error::Result;
use crate::fleet::DatabaseId;

/// How many rows the catalogs have whose rows are described by functions.
macro_rules! counts {
    () => {
        "concat_ws(' ', (select count(*) from pg_catalog.pg_class where relpersistence <> 't'), \
         (select count(*) from pg_catalog.pg_proc), (select count(*) from pg_catalog.pg_constraint), \
         (select count(*) from pg_catalog.pg_attrdef), (select count(*) from pg_catalog.pg_trigger), \
         (select count(*) from pg_catalog.pg_rewrite), (select count(*) from pg_catalog.pg_policy), \
         (select count(*) from pg_catalog.pg_namespace), (select count(*) from pg_catalog.pg_statistic_ext))"
    };
}

/// The query that begins the reading. It also sets for how long a lock is waited for, unless the user has said so.
pub(super) fn begin() -> String {
    format!(
        "select pg_catalog.txid_current_snapshot()::text, {}, {}, case pg_catalog.current_setting('lock_timeout') \
         when '0' then pg_catalog.set_config('lock_timeout', '30s', true) end",
        counts!(),
        DatabaseId::SQL
    )
}

/// The query that ends it, in a snapshot of its own.
pub(super) const END: &str = "; select pg_catalog.txid_current_snapshot()::text";

/// Whether there are other rows now than the snapshot `$1` had, with the counts `$2`. A transaction's number in a row has
/// no epoch: it is the last transaction with that number.
const CHANGED: &str = concat!(
    "with snapshot (old, now) as (select $1::pg_catalog.txid_snapshot, pg_catalog.txid_current_snapshot()), \
     newest (txid) as (select pg_catalog.txid_snapshot_xmax(now) from snapshot), \
     written (xmin) as (select xmin from pg_catalog.pg_class where relpersistence <> 't' \
         union all select xmin from pg_catalog.pg_proc union all select xmin from pg_catalog.pg_constraint \
         union all select xmin from pg_catalog.pg_attrdef union all select xmin from pg_catalog.pg_trigger \
         union all select xmin from pg_catalog.pg_rewrite union all select xmin from pg_catalog.pg_policy \
         union all select xmin from pg_catalog.pg_namespace union all select xmin from pg_catalog.pg_statistic_ext), \
     last (txid) as (select distinct (newest.txid >> 32 << 32) + written.xmin::text::bigint \
         - case when (newest.txid & 4294967295) < written.xmin::text::bigint then 4294967296 else 0 end \
         from written, newest) \
     select ($2 <> ",
    counts!(),
    " or exists (select from last, snapshot where last.txid > 2 \
         and not pg_catalog.txid_visible_in_snapshot(last.txid, snapshot.old)))::text"
);

/// What [`begin`] and [`END`] told.
#[derive(Default)]
pub(super) struct Moment {
    snapshot: String,
    counts: String,
    pub(super) database: Option<DatabaseId>,
    end: Option<String>,
}

impl Moment {
    pub(super) fn begin(rows: &Rows) -> Moment {
        let [snapshot, counts] = [0, 1].map(|column| rows.value(0, column).unwrap_or_default().to_owned());
        Moment {
            snapshot,
            counts,
            database: rows.value(0, 2).map(DatabaseId::told),
            end: None,
        }
    }

    pub(super) fn end(&mut self, rows: &Rows) {
        self.end = rows.value(0, 0).map(str::to_owned);
    }

    /// Whether the structure was changed between the begin and the end. As long as no transaction began or ended in
    /// between, nobody is asked; and not while the transaction of the snapshot is open.
    pub(super) fn has_passed(&self, connection: &mut Connection) -> Result<bool> {
        match &self.end {
            Some(end) if *end != self.snapshot => {
                let changed = connection.query(CHANGED, &[Some(&self.snapshot), Some(&self.counts)])?;
                Ok(changed.value(0, 0) == Some("true"))
            }
            _ => Ok(false),
        }
    }
}

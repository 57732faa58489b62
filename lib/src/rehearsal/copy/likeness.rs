//! What a copy needs to be like production.

use crate::connection::{Connection, quote_literal};
use crate::error::{Error, ErrorKind, Result};

/// What a copy needs to be like production and a dump does not hold.
pub(in crate::rehearsal) struct Likeness {
    /// The name of the database.
    pub(super) database: String,
    /// The role of production's session.
    pub(super) user: String,
    pub(super) encoding: String,
    collate: String,
    ctype: String,
    provider: String,
    locale: Option<String>,
    /// What `ALTER DATABASE` and `ALTER ROLE` have set for the user of production, weaker before stronger. Custom dumps
    /// leave it out, and deltas may count on a `search_path`.
    pub(super) settings: Vec<(String, String)>,
    /// What the server's own configuration says and scripts can see.
    pub(super) server_settings: Vec<(String, String)>,
    pub(super) roles: Vec<String>,
    pub(super) extensions: Vec<String>,
    pub(super) sizes: Sizes,
}

/// How much there is, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// The database.
    pub(super) database: u64,
    /// Its tables without their indexes, about.
    pub(super) tables: u64,
    /// All databases of the server whose size may be asked for.
    pub(super) cluster: u64,
}

impl Likeness {
    pub(in crate::rehearsal) fn read(production: &mut Connection) -> Result<Likeness> {
        let rows = production.query(
            "select pg_encoding_to_char(encoding), datcollate::text, datctype::text, \
             coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'), \
             coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), datname::text, session_user::text \
             from pg_database d where datname = current_database()",
            &[],
        )?;
        let Some(row) = rows.iter().next() else {
            return Err(Error::new(
                ErrorKind::Server,
                "the server does not list the database that it serves",
            ));
        };
        let settings = production.query(
            // Whatever the default is, pum upgrades in transactions that may write, and a restore needs one.
            "select split_part(s, '=', 1), substr(s, strpos(s, '=') + 1) from pg_db_role_setting, unnest(setconfig) s \
             where setdatabase in (0, (select oid from pg_database where datname = current_database())) \
             and setrole in (0, (select oid from pg_roles where rolname = session_user)) \
             and split_part(s, '=', 1) <> 'default_transaction_read_only' \
             order by setrole <> 0, setdatabase <> 0",
            &[],
        )?;
        let server_settings = production.query(
            // As sessions have them. Those of memory are for production's machine, and times out would end the copying.
            "select name, reset_val from pg_settings where reset_val is not null and name in \
             ('TimeZone', 'DateStyle', 'IntervalStyle', 'search_path', 'standard_conforming_strings', \
             'default_transaction_isolation', 'bytea_output', 'array_nulls', 'transform_null_equals', 'xmloption')",
            &[],
        )?;
        let roles = production.query(
            "select rolname::text from pg_roles where rolname !~ '^pg_' order by 1",
            &[],
        )?;
        let extensions = production.query("select extname::text from pg_extension order by 1", &[])?;
        let sizes = production.query(
            // The size of a table takes a lock on it, its pages in the catalog do not.
            "select pg_database_size(current_database())::text, \
             (select coalesce(sum(relpages::int8 * current_setting('block_size')::int8), 0)::text from pg_class \
              where relkind in ('r', 't', 'm')), \
             (select sum(pg_database_size(oid))::text from pg_database where has_database_privilege(oid, 'connect'))",
            &[],
        )?;
        let pairs = |rows: &crate::connection::Rows| {
            rows.iter()
                .map(|row| (row.text(0).to_owned(), row.text(1).to_owned()))
                .collect()
        };
        let bytes = |column| sizes.value(0, column).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Likeness {
            encoding: row.text(0).to_owned(),
            collate: row.text(1).to_owned(),
            ctype: row.text(2).to_owned(),
            provider: row.text(3).to_owned(),
            locale: row.value(4).map(str::to_owned),
            database: row.text(5).to_owned(),
            user: row.text(6).to_owned(),
            settings: pairs(&settings),
            server_settings: pairs(&server_settings),
            roles: roles.iter().map(|row| row.text(0).to_owned()).collect(),
            extensions: extensions.iter().map(|row| row.text(0).to_owned()).collect(),
            sizes: Sizes {
                database: bytes(0),
                tables: bytes(1),
                cluster: bytes(2),
            },
        })
    }

    /// What follows `CREATE DATABASE name TEMPLATE template0`.
    pub(super) fn locale_options(&self) -> String {
        let common = format!(
            "encoding {} lc_collate {} lc_ctype {}",
            quote_literal(&self.encoding),
            quote_literal(&self.collate),
            quote_literal(&self.ctype)
        );
        match (self.provider.as_str(), &self.locale) {
            ("i", Some(locale)) => format!("{common} locale_provider icu icu_locale {}", quote_literal(locale)),
            ("b", Some(locale)) => format!(
                "{common} locale_provider builtin builtin_locale {}",
                quote_literal(locale)
            ),
            _ => common,
        }
    }
}

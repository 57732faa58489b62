//! A pooler that hands each transaction to another session.

use crate::pooler::{pgbouncer, pool};
use crate::support::{Place, TABLE, contents, database, server, sql};

#[test]
fn no_command_leaves_anything_to_others_who_share_a_pool() {
    let Some(program) = pgbouncer() else { return };
    let target = database("pooled");
    let name = sql(&target, "select current_database()");
    sql(
        &target,
        &format!(
            "alter database {name} set search_path = water, public; alter database {name} set lock_timeout = '7s'; \
             alter database {name} set statement_timeout = '55s';\nselect 1"
        ),
    );
    let place = Place::with_deltas(&[("delta_1.1.0_a.sql", "create schema water;")]);
    let direct = target.name();
    place.pum(&["dump", "direct.backup", "-p", &direct]).succeeds();
    let base = server().socket_directory();
    for (mode, port) in [("transaction", "6001"), ("statement", "6002")] {
        // One process for all, so that whatever is left to it is seen.
        let _pooler = pool(&program, base, mode, port, "default_pool_size = 1\n");
        let pooled = target.clone().with("port", port).name();
        let new = target.clone().with("port", port).with("dbname", "pooled_new").name();
        let application = || {
            let mut psql = place.program("psql");
            psql.args(["-X", "-A", "-t", "-d", &pooled]);
            for setting in [
                "search_path",
                "row_security",
                "lock_timeout",
                "statement_timeout",
                "client_connection_check_interval",
                "jit",
            ] {
                psql.args(["-c", &format!("select current_setting('{setting}', true)")]);
            }
            psql.args(["-c", "select pg_backend_pid()"]);
            let output = psql.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let before = (application(), contents(&target), place.files());
        assert!(before.0.starts_with("water, public\non\n7s\n55s\n"), "{}", before.0);
        let deltas = ["-t", TABLE, "-d", "deltas"];
        for (words, given) in [
            (vec!["info", "-p", &pooled], true),
            (vec!["upgrade", "-p", &pooled], true),
            (vec!["upgrade", "--dry-run", "-p", &pooled], true),
            (vec!["baseline", "-b", "1.0.0", "-p", &pooled], true),
            (vec!["test", "-pp", &pooled, "-pc", &direct], true),
            (vec!["test", "-pp", &direct, "-pt", &pooled, "-pc", &direct], true),
            (vec!["dump", "pooled.backup", "-p", &pooled], false),
            (vec!["restore", "direct.backup", "-p", &pooled], false),
            (vec!["restore", "direct.backup", "--create", "-p", &new], false),
            (vec!["snapshot", "-o", "pooled.json", "-p", &pooled], false),
            (vec!["check", "-p1", &pooled, "-p2", &direct], false),
            (vec!["check", "-p1", &direct, "-p2", &pooled], false),
        ] {
            let words = if given { [&words, &deltas[..]].concat() } else { words };
            let code = if words[0] == "check" { 2 } else { 3 };
            place
                .pum(&words)
                .fails(code)
                .says(&[
                    "leads to a pooler that hands each transaction to another process of the server",
                    "would not hold, and would be left to others",
                ])
                .helps(&[
                    "connect to the server itself (it listens on port 5432)",
                    "pool_mode = session",
                ]);
            assert_eq!(
                (application(), contents(&target), place.files()),
                before,
                "{mode} {words:?}"
            );
            let locks = "select count(*) from pg_locks where locktype = 'advisory' \
                         and database = (select oid from pg_database where datname = current_database())";
            assert_eq!(sql(&target, locks), "0", "{mode} {words:?}");
        }
    }

    let _pooler = pool(&program, base, "session", "6003", "");
    let pooled = target.clone().with("port", "6003");
    place.upgrade(&pooled, &["--dry-run"]).succeeds();
    place.upgrade(&pooled, &[]).succeeds();
    place.pum(&["check", "-p1", &pooled.name(), "-p2", &direct]).succeeds();
}

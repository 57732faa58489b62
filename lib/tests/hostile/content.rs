//! What lies in the files and directories of deltas.

use pum::{Deltas, ErrorKind, Status, info};

use crate::{Case, holds, table, told};

#[test]
fn files_without_a_statement_and_without_a_last_line_end_are_deltas() {
    for text in [
        "",
        "\n\n",
        "-- nothing yet",
        "/* nothing\nyet */",
        ";",
        ";;\n;",
        "\u{feff}",
        "\u{feff}-- x\r\n",
    ] {
        let case = Case::new("empty");
        case.delta(text);
        assert_eq!(case.upgrade().unwrap().len(), 1, "{text:?}");
        assert_eq!(case.rows(), "1.1.0 a t done", "{text:?}");
    }
    for text in [
        "create table public.a ()",
        "create table public.a () -- the end",
        "create table public.a ();/* end */",
    ] {
        let case = Case::new("last");
        case.delta(text);
        assert_eq!(case.upgrade().unwrap().len(), 1, "{text:?}");
        assert!(case.has("public.a"), "{text:?}");
    }
}

/// Texts whose end is hard to find: split by pum they do what they do when the server splits them itself.
#[test]
fn statements_end_where_the_server_ends_them() {
    let scripts = [
        "insert into t values ('a;b'); insert into t values ('it''s;');",
        "insert into t values (E'\\';'); insert into t values (E'\\\\');",
        "insert into t values (U&'d\\0061t;a'); insert into t values (U&'!0061' uescape '!');",
        "insert into t values ($$;$$); insert into t values ($a$ $$;$$ ; $b$ $a$);",
        "insert into t values ($ä$;$ä$); insert into t select 'x' where 1 = 1;",
        "insert into t values ('a'\n';b'); insert into t values ('c' -- ;\n'd');",
        "insert /* ; /* ; */ ; */ into t values ('x'); -- ;\n/**/insert into t values ('y')",
        "insert into t select 'x' where 2 -- ;\n > 1; insert into t values ('z');",
        "insert into t select 'x' where 5 *-1 < 0; insert into t select 'y' where 2 ^ -1 < 1;",
        "create table \";'\" (\"a;\"\"b\" text); insert into \";'\" values ('x'); insert into t select * from \";'\";",
        "create function f() returns text language sql as 'select ''a;b''::text;'; insert into t select f();",
        "create function g() returns text language plpgsql as $$ begin return 'x'; end; $$; insert into t select g();",
        "do $do$ begin insert into t values ('$$;'); end $do$; insert into t values ('after');",
        "create rule r as on delete to t do also (insert into t values ('one'); insert into t values ('two')); delete from t;",
        "insert into t values (B'1'::text), (X'1'::text), (N'n;'); ; ;; insert into t values ('x');",
        "insert into t select 1::text||$$a$$||2; insert into t values ('$1;');",
        "insert into t values ('\t\u{b}\u{c};'); insert\tinto\u{c}t\r\nvalues ('x');",
        "insert into t values (e'\\x3b'); insert into t values ('\\');insert into t values (';');",
        "with w as (insert into t values ('a') returning *) select * from w; insert into t values ('b');",
        "insert into t select case when true then ';' else 'x' end; insert into t values ('end');",
        "insert into t values ('ünï;'), ('水;'); insert into t values ('\u{a0}');",
    ];
    for script in scripts {
        let (ours, theirs) = (Case::new("split"), Case::new("split"));
        for case in [&ours, &theirs] {
            case.execute("create table public.t (a text)");
        }
        ours.delta(script);
        ours.upgrade().unwrap_or_else(|error| panic!("{script}: {error}"));
        theirs.execute(script);
        let rows = "select string_agg(a, '|' order by a) from public.t";
        assert_eq!(ours.ask(rows), theirs.ask(rows), "{script}");
    }
    // A body in SQL came with 14.
    let case = Case::new("atomic");
    if case
        .ask("select current_setting('server_version_num')")
        .parse::<u32>()
        .unwrap()
        >= 140_000
    {
        case.delta(
            "create table public.a (t text); create function public.f() returns void begin atomic \
             insert into public.a values (case when true then 'x' end); insert into public.a values ('y'); end; select public.f();",
        );
        case.upgrade().unwrap();
        assert_eq!(case.ask("select string_agg(t, '') from public.a"), "xy");
    }
}

#[test]
fn characters_that_cannot_be_seen_are_named() {
    let case = Case::new("unseen");
    case.delta("create table public.b (x int);\nselect\u{a0}x from public.b;\n");
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.location().unwrap().line, 2);
    holds(error.hint().unwrap(), &["U+00A0", "no-break space", "column 7"]);
    case.is_as_it_was("no-break space");
    // One that makes another name is told before it is made.
    let case = Case::new("unseen");
    case.delta("create table public.zw\u{200b} (x int);\n-- in a comment \u{200b}\nselect '\u{200b}', '\u{a0}';\n");
    assert_eq!(case.upgrade().unwrap().len(), 1);
    assert!(case.heard("U+200B") && case.heard("delta_1.1.0_a.sql:1:23"));
    assert!(!case.heard(":2:") && !case.heard(":3:"));
}

#[test]
fn a_password_in_a_delta_is_not_told() {
    let secret = "s3cr3t-of-the-delta";
    for text in [
        format!("create role pum_secret password '{secret}';\n"),
        format!("alter role nobody_at_all with encrypted password '{secret}';\n"),
        format!("alter role postgres PASSWORD '{secret}' valid until 'never ever';\n"),
        format!("alter role postgres password '{secret}' nonsense;\n"),
        format!("alter role postgres password '{secret}'\n  nonsense;\n"),
        format!("alter role postgres password E'{secret}' nonsense;\n"),
        format!("alter role postgres password $${secret}$$ nonsense;\n"),
        format!("create user mapping for current_user server none options (user 'u', password '{secret}');\n"),
        format!(
            "create subscription s connection 'host=x password={secret}' publication p with (connect = false, nonsense);\n"
        ),
        format!("do $$ begin execute 'alter role postgres password ''{secret}'' nonsense'; end $$;\n"),
    ] {
        let case = Case::new("secret");
        case.execute("do $$ begin create role pum_secret; exception when duplicate_object then null; end $$");
        case.delta(&text);
        let error = case.upgrade().unwrap_err();
        let told = format!("{} {:?} {:?} {}", told(&error), error.location(), error.server(), error);
        assert!(!told.contains(secret), "{text}: {told}");
        assert!(!case.heard(secret), "{text}");
        assert!(
            told.contains("******") || error.location().unwrap().line == 2,
            "{text}: {told}"
        );
    }
}

#[test]
fn versions_are_as_large_as_the_table_holds_and_may_leave_gaps() {
    let case = Case::new("versions");
    case.write("delta_1.99999999999.0_big.sql", "select 1");
    case.write("delta_1.5.0_gap.sql", "select 1");
    case.write("delta_7.0.0_far.sql", "select 1");
    assert_eq!(
        case.upgrade().unwrap(),
        [
            "1.5.0 gap (delta sql)",
            "1.99999999999.0 big (delta sql)",
            "7.0.0 far (delta sql)"
        ]
    );
    case.write("delta_7.02.0_b.sql", "select 1");
    assert_eq!(case.upgrade().unwrap(), ["7.2.0 b (delta sql)"]);
    // The column holds 50 characters, three of the largest numbers are more.
    case.write(
        "delta_18446744073709551615.18446744073709551615.18446744073709551615_x.sql",
        "create table public.a ()",
    );
    let error = case.upgrade().unwrap_err();
    holds(&told(&error), &["too long", "not applied"]);
    assert!(!case.has("public.a"));
}

#[test]
fn a_delta_that_comes_late_is_told_and_left_out() {
    let case = Case::new("late");
    case.delta("select 1");
    case.upgrade().unwrap();
    case.write("delta_1.0.5_merged.sql", "create table public.a ();");
    assert_eq!(case.upgrade().unwrap().len(), 0);
    assert!(case.heard("delta_1.0.5_merged.sql") && case.heard("its version is below the current one"));
    let info = info(&case.target, &table(), &case.directories(), &pum::Run::new()).unwrap();
    let late = info.deltas.iter().find(|delta| delta.name == "merged").unwrap();
    assert_eq!(late.status, Status::Skipped);
    assert!(!case.has("public.a"));
}

/// The next run goes on with what the first one had to come, also where that is below the version that was reached.
#[test]
fn a_run_over_several_directories_that_ends_between_them_loses_no_delta() {
    let case = Case::new("several");
    let more = tempfile::tempdir().unwrap();
    let in_more = |file: &str, text: &str| std::fs::write(more.path().join(file), text).unwrap();
    case.write("delta_1.1.0_a.sql", "create table public.a (n int);");
    case.write("delta_2.0.0_a.sql", "select 1");
    in_more("delta_1.1.0_b.sql", "create table public.b (n int); select no_such;");
    in_more(
        "delta_1.2.0_b.sql",
        "-- pum: no-transaction\ninsert into public.b values (1);\nselect no_such;",
    );
    in_more("delta_2.0.0_b.sql", "insert into public.b values (2);");
    let mut options = case.options();
    options.directories.push(more.path().to_owned());
    let upgrade = || case.upgrade_with(&options, &case.target);
    holds(
        &told(&upgrade().unwrap_err()),
        &["applied by this run: 1.1.0 a (delta sql), 2.0.0 a (delta sql)"],
    );
    assert_eq!(case.rows(), "1.1.0 a t done; 2.0.0 a t more");
    let shown = info(&case.target, &table(), &options.directories, &pum::Run::new()).unwrap();
    let pending = shown.deltas.iter().filter(|delta| delta.status == Status::Pending);
    assert_eq!((pending.count(), shown.current_version.as_deref()), (3, Some("2.0.0")));
    // What is there already is no sign here that all of the current version is.
    in_more("delta_1.1.0_b.sql", "create table public.a (n int);");
    let error = upgrade().unwrap_err();
    assert!(
        error.message().contains("already exists") && !told(&error).contains("--mark-applied"),
        "{error:?}"
    );
    in_more("delta_1.1.0_b.sql", "create table public.b (n int);");
    holds(
        &told(&upgrade().unwrap_err()),
        &["applied by this run: 1.1.0 b (delta sql)"],
    );
    in_more(
        "delta_1.2.0_b.sql",
        "-- pum: no-transaction\ninsert into public.b values (1);\nselect 1;",
    );
    // The row of the one that failed stands before that of this one.
    case.write("delta_3.0.0_a.sql", "select 1");
    assert_eq!(
        upgrade().unwrap(),
        ["3.0.0 a (delta sql)", "1.2.0 b (delta sql)", "2.0.0 b (delta sql)"]
    );
    assert_eq!(
        case.ask("select string_agg(n::text, ' ' order by n) from public.b"),
        "1 2"
    );
    // It has ended: what comes late now is late.
    in_more("delta_2.5.0_late.sql", "create table public.late ();");
    assert_eq!(upgrade().unwrap().len(), 0);
    assert!(!case.has("public.late") && case.heard("delta_2.5.0_late.sql"));
}

#[test]
fn an_applied_delta_whose_file_is_gone_stays_applied_and_is_shown() {
    let case = Case::new("gone");
    case.delta("create table public.a ();");
    case.upgrade().unwrap();
    std::fs::remove_file(case.directory.path().join("delta_1.1.0_a.sql")).unwrap();
    let shown = info(&case.target, &table(), &case.directories(), &pum::Run::new()).unwrap();
    let gone = shown.deltas.iter().find(|delta| delta.name == "a").unwrap();
    assert_eq!(gone.status, Status::Applied);
    holds(
        gone.remark.as_deref().unwrap_or_default(),
        &["its file is not in the delta directories"],
    );
    assert_eq!(case.upgrade().unwrap().len(), 0);
}

#[test]
fn names_that_one_system_takes_for_another_are_refused() {
    let case = Case::new("names");
    // The same letter as one character and as two.
    case.write("delta_1.1.0_\u{e9}.sql", "create table public.a ();");
    case.write("delta_1.1.0_e\u{301}.sql", "create table public.b ();");
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    holds(error.message(), &["looks like a delta and is none", "u{301}"]);
    std::fs::remove_file(case.directory.path().join("delta_1.1.0_e\u{301}.sql")).unwrap();
    // And in two cases.
    case.write("delta_1.1.0_\u{c9}.sql", "create table public.b ();");
    let error = case.upgrade().unwrap_err();
    holds(error.message(), &["differ only in upper and lower case"]);
    case.is_as_it_was("twins");
    for name in [
        "delta_1.2.0_a\u{202e}lqs.sql",
        "delta_1.2.0_💧.sql",
        "delta_1.2.0_a'b.sql",
        "delta_1.2.0_ a.sql",
        "delta_1.2.0_-a.sql",
    ] {
        let case = Case::new("names");
        case.write(name, "create table public.a ();");
        let deltas = Deltas::read(&case.directories()).unwrap();
        assert_eq!((deltas.deltas.len(), deltas.near_misses.len()), (0, 1), "{name}");
        assert_eq!(case.upgrade().unwrap_err().kind(), ErrorKind::Refused, "{name}");
    }
}

#[test]
fn a_link_that_leads_out_of_the_directory_is_followed_and_told() {
    let case = Case::new("link");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("real.sql"), "create table public.a ();").unwrap();
    std::os::unix::fs::symlink(
        elsewhere.path().join("real.sql"),
        case.directory.path().join("delta_1.1.0_a.sql"),
    )
    .unwrap();
    std::fs::write(case.directory.path().join("inside.txt"), "create table public.b ();").unwrap();
    std::os::unix::fs::symlink("inside.txt", case.directory.path().join("delta_1.2.0_b.sql")).unwrap();
    assert_eq!(case.upgrade().unwrap().len(), 2);
    let real = elsewhere.path().canonicalize().unwrap().join("real.sql");
    assert!(
        case.heard(&real.display().to_string()),
        "{:?}",
        case.events.lock().unwrap()
    );
    assert!(!case.heard("inside.txt"));
}

#[test]
fn what_reaches_the_servers_machine_is_told_before_it_runs() {
    let case = Case::new("machine");
    case.delta("create table public.a (t text);\ncopy public.a from program 'echo it ran';\ncopy public.a from stdin;\nx\n\\.\n");
    let run = pum::Run::new().on_event({
        let events = std::sync::Arc::clone(&case.events);
        move |event| events.lock().unwrap().push(event)
    });
    // The dry run tells it too.
    pum::plan(&case.target, &case.options(), &run).unwrap();
    assert!(case.heard("delta_1.1.0_a.sql:2:1: COPY runs a program on the server's machine"));
    assert!(!case.heard("delta_1.1.0_a.sql:3"));
    case.is_as_it_was("planned only");
}

#[test]
fn a_file_before_or_after_all_deltas_that_fails_is_rolled_back_and_runs_again() {
    let case = Case::new("around");
    case.write("pre-all.sql", "create table public.b ();\nselect no_such;\n");
    case.delta("create table public.a ();");
    let error = case.upgrade().unwrap_err();
    assert_eq!(error.location().unwrap().line, 2, "{error}");
    holds(
        &told(&error),
        &[
            "pre-all (sql) was rolled back",
            "not applied: pre-all (sql), 1.1.0 a (delta sql)",
        ],
    );
    case.is_as_it_was("before all");
    case.write("pre-all.sql", "create table if not exists public.before ();\n");
    case.write("post-all.sql", "create table public.b ();\nselect no_such;\n");
    holds(
        &told(&case.upgrade().unwrap_err()),
        &["post-all (sql) was rolled back", "1.1.0 a (delta sql)"],
    );
    // The deltas stay.
    assert_eq!(case.rows(), "1.1.0 a t done");
    assert!(case.has("public.a") && !case.has("public.b"));
    case.write("post-all.sql", "create table public.b ();\n");
    assert_eq!(case.upgrade().unwrap(), ["pre-all (sql)", "post-all (sql)"]);
    assert!(case.has("public.b"));
}

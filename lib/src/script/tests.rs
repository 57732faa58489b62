use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

struct TemporaryFile {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

fn file(content: impl AsRef<[u8]>) -> TemporaryFile {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("delta_1.0.0_x.sql");
    fs::write(&path, content).unwrap();
    TemporaryFile {
        path,
        _directory: directory,
    }
}

fn open(content: impl AsRef<[u8]>) -> Result<Script> {
    Script::open(&file(content).path, &Variables::new())
}

fn statements(content: &[u8], variables: &Variables, chunk: Option<usize>) -> Statements {
    let reader = Box::new(std::io::Cursor::new(content.to_vec()));
    let source = Source::new(Arc::from(Path::new("x.sql")), reader, chunk, Hashes::with_checksum());
    Statements {
        splitter: Splitter::new(source),
        variables: Arc::new(variables.clone()),
        expected: None,
        count: 0,
    }
}

/// The statements and COPY data of a text that is read in pieces of `chunk` bytes.
fn read(content: &[u8], variables: &Variables, chunk: Option<usize>) -> Result<Vec<(Statement, Vec<u8>)>> {
    let mut statements = statements(content, variables, chunk);
    let mut found = Vec::new();
    while let Some(statement) = statements.next()? {
        let mut data = Vec::new();
        while let Some(more) = statements.copy_data()? {
            data.extend(more);
        }
        found.push((statement, data));
    }
    Ok(found)
}

fn split(sql: &str) -> Vec<String> {
    let statements = read(sql.as_bytes(), &Variables::new(), None).unwrap();
    statements.into_iter().map(|(statement, _)| statement.text).collect()
}

/// Line, column, message and hint of the error.
fn refused(content: impl AsRef<[u8]>) -> (usize, usize, String, String) {
    let error = open(content).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let location = error.location().unwrap();
    (
        location.line,
        location.column,
        error.message().to_owned(),
        error.hint().unwrap_or_default().to_owned(),
    )
}

#[test]
fn semicolons_end_statements_only_where_psql_ends_them() {
    for statement in [
        "select 1;",
        "select ';', E'\\';', U&';', \";\", $$;$$, $a$;$$;$a$, a$b;",
        "select 1 -- ;\n + 2 /* ; /* ; */ ; */;",
        "create rule r as on insert to t do also (select 1; select 2);",
        "create function f() returns int begin atomic select 1; select case when true then 2 end; end;",
        "create or replace procedure p() begin atomic; insert into t values (case when true then 1 end); end;",
        "create function f() returns int begin atomic select t.end, 1 as case from t; end;",
        "create function begin() returns int language sql as $$ select 1; $$;",
        "create or replace function f() returns int return case when true then 1 end;",
        "select case when true then 1 end;",
        "create table begin (atomic int);",
    ] {
        assert_eq!(split(&format!("{statement} {statement}")), [statement; 2]);
    }
}

#[test]
fn a_last_statement_may_lack_its_semicolon() {
    assert_eq!(
        split("select 1;\nselect 2 -- end\n/* x */\n"),
        ["select 1;", "select 2"]
    );
}

#[test]
fn what_lies_between_statements_is_not_sent() {
    assert_eq!(
        split(";; -- a;\n/* b; */ select 1;;;\r\n\\restrict abc\r\n ;select 2;"),
        ["select 1;", "select 2;"]
    );
    assert_eq!(
        split("/* a */ /*+ SeqScan(t) */ select 1;"),
        ["/*+ SeqScan(t) */ select 1;"]
    );
}

#[test]
fn files_without_statements_are_fine() {
    for content in [
        "",
        "\u{feff}",
        "-- nothing\n",
        "/* nothing */",
        " \n;\n",
        "\\restrict x",
    ] {
        assert_eq!(open(content).unwrap().statement_count(), 0, "{content:?}");
    }
}

#[test]
fn byte_order_mark_and_line_ends_are_no_change() {
    let plain = open("select 1;\nselect\r2;\n").unwrap();
    let other = open("\u{feff}select 1;\r\nselect\r2;\r\n").unwrap();
    assert_eq!(plain.digest(), other.digest());
    assert_ne!(plain.checksum(), other.checksum());
    assert_ne!(open("select 1;\nselect\n2;\n").unwrap().digest(), plain.digest());
    // As md5sum and sha256sum say.
    let abc = open("select 1;").unwrap();
    assert_eq!(abc.checksum(), "ccb5b4481bced39454dca6d845601d54");
    assert_eq!(
        abc.digest(),
        "354b7196c9ba5fb4b21cf615bb6ec4cd5c07503c34229feef033fc081a8c03f4"
    );
}

#[test]
fn copy_data_are_handed_out_as_they_are() {
    let sql = b"copy t (a) from stdin; -- data:\nit's\t\\\\.\n\\.x\n  \\.\n\\restrict\n\\.\r\nselect 1;\ncopy u from stdin;\n\\.\n";
    for chunk in [None, Some(1), Some(5)] {
        let found = read(sql, &Variables::new(), chunk).unwrap();
        assert_eq!(found.len(), 3);
        assert!(found[0].0.copies_from_stdin() && !found[1].0.copies_from_stdin());
        assert_eq!(found[0].1, b"it's\t\\\\.\n\\.x\n  \\.\n\\restrict\n");
        assert_eq!(found[1].0.text(), "select 1;");
        assert_eq!(found[1].0.line(), 7);
        assert_eq!(found[2].1, b"");
    }
    let script = open(sql).unwrap();
    assert_eq!(script.statement_count(), 3);
}

#[test]
fn copy_data_must_end_and_stand_on_their_own_lines() {
    for sql in [
        "copy t from stdin;\n1\n",
        "copy t from stdin;",
        "copy t from stdin",
        "copy t from stdin; -- x",
    ] {
        let (line, column, message, hint) = refused(format!("\n {sql}"));
        assert_eq!((line, column), (2, 2), "{sql}");
        assert_eq!(message, "the data of this COPY ... FROM stdin have no end");
        assert_eq!(hint, "end them with a line that holds only \\.");
    }
    let (line, column, message, _) = refused("copy t from stdin; select 1;\n\\.\n");
    assert_eq!((line, column), (1, 20));
    assert!(message.starts_with("something follows COPY"));
    // A comment ends at a carriage return, too, and psql would run what stands behind it.
    let sql = "copy t from stdin; -- x\rcreate table lost();\n1\n\\.\n";
    let (line, column, message, _) = refused(sql);
    assert_eq!((line, column), (1, 25));
    assert!(message.starts_with("something follows COPY"));
    for chunk in 1..sql.len() {
        let error = read(sql.as_bytes(), &Variables::new(), Some(chunk)).unwrap_err();
        assert!(error.message().starts_with("something follows COPY"), "{error}");
    }
    let nothing = "copy t from stdin; -- x\r;-- y\r\n1\n\\.\n";
    let found = read(nothing.as_bytes(), &Variables::new(), Some(4)).unwrap();
    assert_eq!(found[0].1, b"1\n");
}

#[test]
fn psql_commands_are_refused_with_a_way_out() {
    for (sql, line, column, message, hint) in [
        (
            "select 1;\n\\i other.sql\n",
            2,
            1,
            "\\i is a command of psql, not SQL",
            "put the content",
        ),
        (
            "\\copy t from 'x'",
            1,
            1,
            "\\copy is a command of psql, not SQL",
            "use COPY",
        ),
        (
            "\\set x 1\n",
            1,
            1,
            "\\set is a command of psql, not SQL",
            "give the value as a variable",
        ),
        (
            "select é \\gset\n",
            1,
            10,
            "\\gset is a command of psql, not SQL",
            "give the value",
        ),
        (
            "select (1\n  \\restrict x",
            2,
            3,
            "\\restrict is a command of psql, not SQL",
            "only with its key alone",
        ),
        (
            "\\restrict x \\\\ drop table t;\n",
            1,
            1,
            "\\restrict is a command of psql, not SQL",
            "only with its key alone",
        ),
        (
            "\\unrestrict,x\n",
            1,
            1,
            "\\unrestrict is a command of psql, not SQL",
            "only with its key alone",
        ),
        (
            "\\connect x",
            1,
            1,
            "\\connect is a command of psql, not SQL",
            "remove it: a file runs",
        ),
        ("\\.", 1, 1, "\\. is a command of psql, not SQL", "it ends the data"),
        ("\\", 1, 1, "\\ is a command of psql, not SQL", "files are SQL only"),
        (
            "select 1 \\; select 2;",
            1,
            10,
            "\\; is a command of psql, not SQL",
            "end the statement",
        ),
        (
            "\\! rm x",
            1,
            1,
            "\\! is a command of psql, not SQL",
            "pum runs no shell",
        ),
    ] {
        let (at_line, at_column, said, way_out) = refused(sql);
        assert_eq!((at_line, at_column, said.as_str()), (line, column, message));
        assert!(way_out.starts_with(hint), "{sql}: {way_out}");
    }
}

#[test]
fn what_is_left_open_is_shown_where_it_opens() {
    for (open, message) in [
        ("'a;", "this quoted text is never closed"),
        ("E'a\\';", "this quoted text is never closed"),
        ("\"a;", "this quoted name is never closed"),
        ("$x$ a; $$", "this dollar-quoted text is never closed"),
        ("/* a; /* */", "this comment is never closed"),
        ("(a; (b);", "this parenthesis is never closed"),
    ] {
        let (line, column, said, _) = refused(format!("select 1;\nselect 'é', {open}\nselect 2;\n"));
        assert_eq!((line, column, said.as_str()), (2, 13, message), "{open}");
    }
    let (line, column, said, _) = refused("create function f() returns int\nbegin atomic select 1;\nselect 2;");
    assert_eq!((line, column), (2, 1));
    assert_eq!(said, "this BEGIN ATOMIC has no END");
}

#[test]
fn other_encodings_are_named() {
    let (line, column, message, hint) = refused(b"-- a\nselect 'caf\xe9';");
    assert_eq!((line, column), (2, 12));
    assert_eq!(message, "the file is not UTF-8: it holds the byte 0xe9");
    assert!(hint.contains("iconv -f ISO-8859-1 -t UTF-8"), "{hint}");
    // Cut in the middle of a character.
    assert_eq!(refused(b"select '\xc3").1, 9);
    let utf16: Vec<u8> = "select 1;".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for content in [[b"\xff\xfe".as_slice(), &utf16].concat(), utf16] {
        let (line, column, message, hint) = refused(content);
        assert_eq!((line, column), (1, 1));
        assert!(
            message.contains("UTF-16") && hint.contains("iconv -f UTF-16"),
            "{message} {hint}"
        );
    }
    let (line, column, message, _) = refused("select 1;\n--\0");
    assert_eq!((line, column), (2, 3));
    assert_eq!(message, "the file holds a NUL byte");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.sql");
    let error = Script::open(&missing, &Variables::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains("missing.sql"));
    let error = Script::open(directory.path(), &Variables::new()).unwrap_err();
    assert!(error.message().ends_with("is not a regular file"));
}

#[test]
fn the_header_stands_before_the_first_statement() {
    for content in [
        "-- pum: no-transaction\nselect 1;",
        "\u{feff}-- Licence\n/* x */\n--pum:no-transaction  \r\nselect 1;",
    ] {
        assert!(open(content).unwrap().no_transaction(), "{content:?}");
    }
    for content in [
        "select 1;",
        "-- no-transaction",
        "select '\n-- pum: no-transaction\n';",
        "select 1; -- pum: is a tool",
    ] {
        assert!(!open(content).unwrap().no_transaction(), "{content:?}");
    }
    let (line, _, message, hint) = refused("-- a\n-- PUM: no_transaction\nselect 1;");
    assert_eq!(line, 2);
    assert_eq!(message, "there is no header `-- pum: no_transaction`");
    assert_eq!(
        hint,
        "there are `-- pum: no-transaction` and `-- pum: allow RULE reason`"
    );
    let (line, column, message, _) = refused("select 1; -- pum: no-transaction");
    assert_eq!((line, column), (1, 11));
    assert!(message.ends_with("comes after the first statement"));
}

#[test]
fn commands_that_touch_the_transaction_are_listed_with_their_places() {
    let script =
        open("begin; select 1;\n  commit;\nvacuum t;\nsavepoint a;\nselect 2; create index concurrently on t (a);")
            .unwrap();
    let places = |list: &[(Location, String)]| -> Vec<(usize, usize, String)> {
        let place = |(location, name): &(Location, String)| (location.line, location.column, name.clone());
        list.iter().map(place).collect()
    };
    assert_eq!(
        places(script.transaction_control()),
        [(1, 1, "BEGIN".to_owned()), (2, 3, "COMMIT".to_owned())]
    );
    assert_eq!(
        places(script.outside_transaction()),
        [
            (3, 1, "VACUUM".to_owned()),
            (5, 11, "CREATE INDEX CONCURRENTLY".to_owned())
        ]
    );
    assert_eq!(
        script.outside_transaction()[1].0.text,
        "select 2; create index concurrently on t (a);"
    );
}

#[test]
fn positions_of_the_server_lead_to_the_file() {
    let mut variables = Variables::new();
    variables.insert("str", "NAME", "ééé; it's").unwrap();
    variables.insert("int", "N", "-12").unwrap();
    let sql = "select 'é'; select 'ü',\r\n  %(NAME)s, %(N)s, 5 %% 2 ö, wrong -- rest\r\n from t; -- after\r\n";
    let found = read(sql.as_bytes(), &variables, None).unwrap();
    let statement = &found[1].0;
    assert_eq!(
        statement.text(),
        "select 'ü',\r\n  'ééé; it''s',  -12, 5 % 2 ö, wrong -- rest\r\n from t;"
    );
    let position = |wanted: &str| {
        let before = statement.text().split(wanted).next().unwrap();
        Some(before.chars().count() + 1)
    };
    let at = |position| {
        let location = statement.location(position);
        (location.line, location.column, location.text)
    };
    let second = "  %(NAME)s, %(N)s, 5 %% 2 ö, wrong -- rest".to_owned();
    assert_eq!(at(None), (1, 13, "select 'é'; select 'ü',".to_owned()));
    assert_eq!(at(position("wrong")), (2, 30, second.clone()));
    assert_eq!(at(position("it''s")), (2, 3, second.clone()));
    assert_eq!(at(position("12,")), (2, 13, second));
    assert_eq!(at(position("from")), (3, 2, " from t; -- after".to_owned()));
    // At the end of the input the server says one more than there are characters.
    let end = Some(statement.text().chars().count() + 1);
    assert_eq!(at(end), (3, 9, " from t; -- after".to_owned()));
    assert_eq!(at(Some(0)), at(Some(1)));
    assert_eq!(at(Some(usize::MAX)).0, 3);
}

#[test]
fn wrong_variables_are_found_before_anything_runs() {
    let mut variables = Variables::new();
    variables.insert("int", "SRID", "2056").unwrap();
    let content = file("select 1; -- 5 %\nselect 'é', %(SRIT)s;\n");
    let error = Script::open(&content.path, &variables).unwrap_err();
    let location = error.location().unwrap();
    assert_eq!((location.line, location.column), (2, 13));
    assert_eq!(location.text, "select 'é', %(SRIT)s;");
    assert_eq!(error.message(), "the variable \"SRIT\" was not given");
    // Without variables nothing is replaced.
    let found = read(b"select 5 % 2, '%%', '%(x)s';", &Variables::new(), None).unwrap();
    assert_eq!(found[0].0.text(), "select 5 % 2, '%%', '%(x)s';");
}

#[test]
fn a_file_that_changes_between_check_and_run_is_refused() {
    let content = file("select 1;\nselect 2;\n");
    let script = Script::open(&content.path, &Variables::new()).unwrap();
    let drain = |mut statements: Statements| -> Result<usize> {
        let mut count = 0;
        while statements.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    };
    assert_eq!(drain(script.statements().unwrap()).unwrap(), 2);
    for changed in ["select 1;\nselect 3;\n", "select 1;\nselect '2;", "select 1;\n", ""] {
        fs::write(&content.path, changed).unwrap();
        let error = script.statements().and_then(drain).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().ends_with("has changed since it was checked"));
    }
}

#[test]
fn long_lines_do_not_pile_up() {
    let sql = "select 'é';".repeat(20_000);
    let found = read(sql.as_bytes(), &Variables::new(), None).unwrap();
    assert_eq!(found.len(), 20_000);
    let location = found[19_999].0.location(Some(8));
    assert_eq!((location.line, location.column), (1, 19_999 * 11 + 8));
    assert!(location.text.len() <= 4096 && location.text.starts_with("select 'é';"));
}

#[test]
fn a_statement_that_no_server_takes_is_refused_where_it_begins() {
    let long = format!("select 1;\n  select '{}';\nselect 2;\n", "x".repeat(1_000));
    for (text, longest, line) in [
        (long.as_str(), 1_010, None),
        (&long, 1_009, Some(2)),
        // Found before the whole of it is in memory: nothing closes it.
        (&long[..long.len() - 13], 100, Some(2)),
        // A comment is no statement, whatever its length, and data of COPY are none.
        (&format!("/* {} */ select 1", "x".repeat(1_000)), 100, None),
        (
            &format!("copy a from stdin;\n{}\\.\n", "data\n".repeat(1_000)),
            100,
            None,
        ),
    ] {
        for chunk in [4, 100, 4096] {
            let reader = Box::new(std::io::Cursor::new(text.to_owned().into_bytes()));
            let mut source = Source::new(
                Arc::from(Path::new("x.sql")),
                reader,
                Some(chunk),
                Hashes::with_checksum(),
            );
            source.longest = longest;
            let mut splitter = Splitter::new(source);
            let outcome = loop {
                match splitter.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            let place = outcome.as_ref().and_then(|error| error.location());
            assert_eq!(place.map(|place| place.line), line, "{longest}, {chunk}: {outcome:?}");
            if let Some(error) = outcome.filter(|_| longest > 100 || chunk < 1000) {
                assert!(error.message().contains("this statement is too long"), "{error}");
                assert!(error.hint().unwrap().contains("COPY"), "{error:?}");
            }
        }
    }
}

#[test]
fn a_statement_is_as_long_as_it_is_with_its_variables_replaced() {
    let mut variables = Variables::new();
    variables.insert("str", "note", &"x".repeat(50)).unwrap();
    let sql = b"select 1;\n  select %(note)s,\n %(note)s;\n";
    let outcome = |longest| {
        let mut statements = statements(sql, &variables, None);
        statements.splitter.source.longest = longest;
        statements.next().unwrap();
        statements.next()
    };
    let text = outcome(1_000).unwrap().unwrap().text;
    assert_eq!(outcome(text.len()).unwrap().unwrap().text, text);
    let error = outcome(text.len() - 1).unwrap_err();
    assert!(error.message().contains("this statement is too long"), "{error}");
    let location = error.location().unwrap();
    assert_eq!((location.line, location.column), (2, 3));
}

/// The byte that the location names.
fn offset(text: &str, location: &Location) -> usize {
    let lines = text.split_inclusive('\n');
    let before: usize = lines.take(location.line - 1).map(str::len).sum();
    let mut characters = text[before..].char_indices();
    before + characters.nth(location.column - 1).unwrap().0
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "select",
        "a",
        "e",
        "E",
        "U&",
        "'x;'",
        "E'\\';'",
        "'it''s'",
        "\";\"",
        "\"a\"\"b\"",
        "$$;$$",
        "$é$;$$;$é$",
        "(a; b)",
        "(",
        "1",
        "$1",
        "a$b$",
        "+",
        "-",
        "*",
        ":",
        "%",
        "[1]",
        "case",
        "end",
        "begin",
        "atomic",
        "-- c;'\n",
        "/* ; /* ' */ */",
        "\n",
        "\r\n",
        "é",
        "as",
        ".",
        ",",
        "create",
        "function",
        "or",
        "replace",
    ])
}

/// Whether a text after a statement holds no other. The statement is there because a comment is a header before it only.
fn holds_none(text: &str) -> bool {
    split(&format!("select 1;{text}")).len() == 1
}

proptest! {
    #[test]
    fn any_bytes_are_split_or_refused(
        content in prop::collection::vec(
            prop_oneof![
                token().prop_map(|token| token.as_bytes().to_vec()),
                prop::sample::select(vec!["'", "\"", "$a$", "/*", "*/", "--", ";", ")", "\\", "\\.", "\n", "copy t from stdin;\n", "\\.\n", "\\restrict\n", "-- pum: x\n", "%(", "%%", "\u{feff}"])
                    .prop_map(|token| token.as_bytes().to_vec()),
                prop::collection::vec(any::<u8>(), 0..3),
            ],
            0..30,
        ),
        chunk in 1_usize..40,
    ) {
        let content = content.concat();
        let whole = read(&content, &Variables::new(), None);
        let pieces = read(&content, &Variables::new(), Some(chunk));
        match (whole, pieces) {
            (Ok(whole), Ok(pieces)) => {
                prop_assert_eq!(whole.len(), pieces.len());
                // What lies between the statements holds none.
                let text = String::from_utf8(content).unwrap();
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                let mut rest = text;
                for ((one, data), (other, other_data)) in whole.iter().zip(&pieces) {
                    prop_assert_eq!(one.text(), other.text());
                    prop_assert_eq!(data, other_data);
                    let location = one.location(Some(1));
                    prop_assert_eq!(&location, &other.location(Some(1)));
                    let begin = offset(text, &location) - (text.len() - rest.len());
                    let (between, after) = rest.split_at(begin);
                    prop_assert!(holds_none(between), "{:?}", between);
                    prop_assert!(after.starts_with(one.text()));
                    rest = &after[one.text().len()..];
                    if one.copies_from_stdin() {
                        let data = String::from_utf8_lossy(data);
                        let line_end = rest.find('\n').unwrap() + 1;
                        prop_assert!(rest[line_end..].starts_with(&*data));
                        rest = rest[line_end + data.len()..].strip_prefix("\\.").unwrap();
                        rest = &rest[rest.find('\n').map_or(rest.len(), |end| end + 1)..];
                    }
                }
                prop_assert!(holds_none(rest), "{:?}", rest);
            }
            (Err(whole), Err(pieces)) => {
                prop_assert_eq!(whole.kind(), ErrorKind::Usage);
                prop_assert_eq!(pieces.kind(), ErrorKind::Usage);
                prop_assert!(whole.location().is_some() && pieces.location().is_some());
            }
            (whole, pieces) => prop_assert!(false, "{:?} {:?}", whole, pieces),
        }
    }

    #[test]
    fn statements_come_back_as_they_were_written(
        statements in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec!["a", "'x;'", "E'\\';' ", "\";\"", "$$;$$", "$é$;$$;$é$", "(a; b)", "1", "$1 ", "a$b$", "+", "-- c;'\n", "/* ; /* ' */ */", "\r\n", "é"]),
                1..8,
            ),
            0..8,
        ),
        gaps in prop::collection::vec(
            prop::sample::select(vec!["", " ", "\n", ";", "-- ;'\n", "/* ' ; */", "\r\n\\restrict x\r\n"]),
            9,
        ),
        chunk in 1_usize..40,
    ) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (tokens, gap) in statements.iter().zip(&gaps) {
            let statement = format!("select {};", tokens.join(" "));
            text.push_str(gap);
            text.push_str(&statement);
            expected.push((statement, text.chars().count()));
        }
        let found = read(text.as_bytes(), &Variables::new(), Some(chunk)).unwrap();
        prop_assert_eq!(found.len(), expected.len());
        for ((statement, _), (wanted, end)) in found.iter().zip(&expected) {
            prop_assert_eq!(statement.text(), wanted.as_str());
            let begin = end - wanted.chars().count();
            let before: String = text.chars().take(begin).collect();
            let location = statement.location(Some(1));
            prop_assert_eq!(location.line, before.matches('\n').count() + 1);
            let line: String = before.rsplit('\n').next().unwrap().to_owned();
            prop_assert_eq!(location.column, line.chars().count() + 1);
        }
    }

    /// A mistake planted anywhere is found again through its position in the text that was sent.
    #[test]
    fn a_planted_position_is_found_again(
        tokens in prop::collection::vec(
            prop::sample::select(vec!["a ", "%(S)s ", "%(N)s", "%%", "'é%%'", "\n", "\r\n", "€ ", "(%(S)s)"]),
            0..20,
        ),
        place in any::<prop::sample::Index>(),
        chunk in 1_usize..40,
    ) {
        let mut variables = Variables::new();
        variables.insert("str", "S", "ünï\\c'd").unwrap();
        variables.insert("int", "N", "-7").unwrap();
        let mut tokens = tokens;
        tokens.insert(place.index(tokens.len() + 1), " MISTAKE ");
        let text = format!("select 'ü'; select {};", tokens.concat());
        let found = read(text.as_bytes(), &variables, Some(chunk)).unwrap();
        let statement = &found[1].0;
        let sent = statement.text();
        let position = sent[..sent.find("MISTAKE").unwrap()].chars().count() + 1;
        let location = statement.location(Some(position));
        let before = &text[..text.find("MISTAKE").unwrap()];
        prop_assert_eq!(location.line, before.matches('\n').count() + 1);
        prop_assert_eq!(location.column, before.rsplit('\n').next().unwrap().chars().count() + 1);
        let line = text.lines().nth(location.line - 1).unwrap();
        prop_assert_eq!(location.text, line);
    }
}

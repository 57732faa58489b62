//! What is large or has no end takes no memory: the short form of `bench/endurance.sh`, which measures time too.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pum::{BaselineOptions, Connection, Run, Server, ServerOptions, Target};

/// Megabytes of the deltas below; a run that keeps what it reads, sends or hears has more than that.
const MUCH: usize = 40;
/// Megabytes that pum may have at most.
const BOUND: u64 = 36;

fn server() -> Server {
    let options = ServerOptions {
        programs: std::env::var_os("PUM_TEST_SERVER").map(Into::into),
        ..ServerOptions::default()
    };
    Server::start(&options, &Run::new()).unwrap()
}

/// A database at 1.0.0.
fn database(server: &Server, name: &str) -> Target {
    let target = server.create_database(name).unwrap();
    let options = BaselineOptions::new("pum_sys.upgrades".parse().unwrap(), "1.0.0".parse().unwrap());
    pum::baseline(&target, &options, &Run::new()).unwrap();
    target
}

fn value(target: &Target, sql: &str) -> String {
    let mut connection = Connection::open(target, &Run::new()).unwrap();
    connection.query(sql, &[]).unwrap().value(0, 0).unwrap_or("").to_owned()
}

/// The largest amount of memory that a process has had, in megabytes; none once it is gone.
fn peak(process: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

fn upgrade(target: &Target, deltas: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pum"));
    command
        .args(["upgrade", "-p", &target.to_string(), "-t", "pum_sys.upgrades", "-d"])
        .arg(deltas)
        .current_dir(deltas)
        .stdin(Stdio::null());
    command
}

/// Runs a command that must succeed; the memory it took at most.
fn memory(mut command: Command) -> u64 {
    let mut process = command.stdout(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    let ended = loop {
        if let Some(ended) = process.try_wait().unwrap() {
            break ended;
        }
        most = peak(&process).unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(ended.success());
    assert!(most > 0);
    most
}

fn delta(directory: &Path, write: impl FnOnce(&mut BufWriter<File>)) {
    let file = File::create(directory.join("delta_1.1.0_much.sql")).unwrap();
    let mut file = BufWriter::new(file);
    write(&mut file);
    file.flush().unwrap();
}

#[test]
fn a_copy_that_the_server_takes_slowly_and_answers_with_notices_takes_no_memory() {
    let server = server();
    let target = database(&server, "copy");
    let directory = tempfile::tempdir().unwrap();
    let rows = MUCH * 100;
    delta(directory.path(), |file| {
        file.write_all(
            b"create table public.a (note text);\n\
              create function public.slow() returns trigger language plpgsql as $$ begin\n\
              raise notice '%', new.note; perform pg_sleep(0.0002); return new; end $$;\n\
              create trigger slow before insert on public.a for each row execute function public.slow();\n\
              copy public.a from stdin;\n",
        )
        .unwrap();
        let note = "x".repeat(10_000);
        for row in 0..rows {
            writeln!(file, "{row} {note}").unwrap();
        }
        file.write_all(b"\\.\n").unwrap();
    });
    let peak = memory(upgrade(&target, directory.path()));
    assert_eq!(value(&target, "select count(*) from public.a"), rows.to_string());
    assert!(peak < BOUND, "{peak} MB");
}

#[test]
fn a_delta_of_many_statements_takes_no_memory() {
    let server = server();
    let target = database(&server, "many");
    let directory = tempfile::tempdir().unwrap();
    let statements = MUCH * 100;
    delta(directory.path(), |file| {
        file.write_all(b"create table public.a (note int);\n").unwrap();
        let note = "x".repeat(5_000);
        for _ in 0..statements {
            writeln!(file, "insert into public.a values (length('{note}'));\n-- {note}").unwrap();
        }
    });
    let peak = memory(upgrade(&target, directory.path()));
    assert_eq!(value(&target, "select count(*) from public.a"), statements.to_string());
    assert!(peak < BOUND, "{peak} MB");
}

#[test]
fn a_flood_of_notices_into_a_pipe_that_is_read_slowly_takes_no_memory() {
    let server = server();
    let target = database(&server, "flood");
    let directory = tempfile::tempdir().unwrap();
    let (short, long) = (MUCH * 1_000, MUCH * 10);
    delta(directory.path(), |file| {
        write!(
            file,
            "do $$ begin for i in 1..{short} loop raise warning '% %', i, repeat('x', 500); end loop; end $$;\n\
             do $$ begin for i in 1..{long} loop raise warning '% %', i, repeat('y', 50000); end loop; end $$;\n"
        )
        .unwrap();
    });
    let mut process = upgrade(&target, directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = process.stderr.take().unwrap();
    let (mut bytes, mut most, mut told) = (vec![0; 1 << 16], 0, 0);
    while let length @ 1.. = pipe.read(&mut bytes).unwrap() {
        told += length;
        // What the pipe does not take waits in the server.
        std::thread::sleep(Duration::from_millis(1));
        most = peak(&process).unwrap_or(0).max(most);
    }
    assert!(process.wait().unwrap().success());
    assert!(told > short * 500 + long * 50_000, "{told} bytes");
    assert!(0 < most && most < BOUND, "{most} MB");
}

/// libpq sends a statement whole, and an error in it is shown in its text.
#[test]
fn a_single_long_statement_takes_a_few_times_its_size() {
    let server = server();
    let target = database(&server, "long");
    let directory = tempfile::tempdir().unwrap();
    let megabytes = 20;
    delta(directory.path(), |file| {
        let text = "x".repeat(1_000_000);
        file.write_all(b"create table public.a as select length('").unwrap();
        for _ in 0..megabytes {
            file.write_all(text.as_bytes()).unwrap();
        }
        file.write_all(b"') as length;\n").unwrap();
    });
    let peak = memory(upgrade(&target, directory.path()));
    assert_eq!(
        value(&target, "select length from public.a"),
        (megabytes * 1_000_000).to_string()
    );
    assert!(peak < 20 + 7 * megabytes, "{peak} MB");
}

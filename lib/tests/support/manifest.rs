//! The manifest of completeness, `catalogs.txt`: what becomes of every column of every catalog.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::path::Path;

/// The versions that pum knows.
pub const MAJORS: std::ops::RangeInclusive<u32> = 12..=18;

/// Attributes that do not come from a kind's own query.
pub const ANNOTATIONS: [&str; 3] = ["comment", "privileges", "security_labels"];

/// Stands for every kind before an annotation, and for every column after a catalog.
pub const EVERY: &str = "*";

#[derive(Debug)]
pub struct Line {
    pub number: usize,
    pub catalog: String,
    pub column: String,
    pub first: u32,
    pub last: u32,
    /// The kinds whose identity it is.
    pub identity: Vec<String>,
    /// The attributes, of which kind, that show it.
    pub compared: Vec<(String, String)>,
    /// The catalogs that it leads to.
    pub reference: Vec<String>,
    /// Whether it is none of these.
    pub left_out: bool,
    /// The reason for what is left out, a remark on the others.
    pub note: String,
}

impl Line {
    pub fn covers(&self, major: u32, catalog: &str, column: &str) -> bool {
        self.is_for(major) && self.catalog == catalog && (self.is_whole() || self.column == column)
    }

    pub fn is_for(&self, major: u32) -> bool {
        (self.first..=self.last).contains(&major)
    }

    pub fn is_whole(&self) -> bool {
        self.column == EVERY
    }

    /// `PostgreSQL 12 to 14`, nothing for all.
    pub fn versions(&self) -> String {
        match (self.first == *MAJORS.start(), self.last == *MAJORS.end()) {
            (true, true) => String::new(),
            (false, true) => format!("from PostgreSQL {}", self.first),
            _ if self.first == self.last => format!("PostgreSQL {}", self.first),
            _ => format!("PostgreSQL {} to {}", self.first, self.last),
        }
    }
}

pub fn read() -> Vec<Line> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalogs.txt");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            let mut parsed = parse(line).unwrap_or_else(|why| panic!("catalogs.txt:{}: {why}: {line}", number + 1));
            parsed.number = number + 1;
            parsed
        })
        .collect()
}

fn parse(text: &str) -> Result<Line, String> {
    let (name, rest) = text.split_once(' ').ok_or("no class")?;
    let (catalog, column) = name.split_once('.').ok_or("no column")?;
    let mut rest = rest.trim_start();
    let (mut first, mut last) = (*MAJORS.start(), *MAJORS.end());
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        let (majors, behind) = rest.split_once(' ').ok_or("no class")?;
        let (from, to) = majors.split_once('-').unwrap_or((majors, majors));
        first = from.parse().map_err(|_| "not a version")?;
        if !to.is_empty() {
            last = to.parse().map_err(|_| "not a version")?;
        }
        rest = behind.trim_start();
    }
    if !MAJORS.contains(&first) || !MAJORS.contains(&last) || first > last {
        return Err("no such versions".to_owned());
    }
    let mut line = Line {
        number: 0,
        catalog: catalog.to_owned(),
        column: column.to_owned(),
        first,
        last,
        identity: Vec::new(),
        compared: Vec::new(),
        reference: Vec::new(),
        left_out: false,
        note: String::new(),
    };
    if let Some(reason) = rest.strip_prefix("left out ") {
        line.left_out = true;
        line.note = reason.trim().to_owned();
        return Ok(line);
    }
    if let Some((words, note)) = rest.split_once(" (") {
        line.note = note.strip_suffix(')').ok_or("the remark has no end")?.to_owned();
        rest = words;
    }
    for part in rest.split("; ") {
        let (class, words) = part.split_once(' ').ok_or("a class with nothing")?;
        let words: Vec<&str> = words.split(',').map(str::trim).collect();
        match class {
            "identity" => line.identity = words.into_iter().map(str::to_owned).collect(),
            "reference" => line.reference = words.into_iter().map(str::to_owned).collect(),
            "compared" => {
                let split = words.iter().map(|word| word.split_once('.'));
                let pairs: Option<Vec<(&str, &str)>> = split.collect();
                let pairs = pairs.ok_or("an attribute has its kind before it, kind.attribute")?;
                line.compared = pairs
                    .iter()
                    .map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned()))
                    .collect();
            }
            _ => return Err("the classes are identity, compared, reference and left out".to_owned()),
        }
    }
    Ok(line)
}

//! SQL files that are written for psql.
#![allow(unreachable_pub)]

/// psql's own commands are taken out, on both sides. They are not part of the language of deltas.
pub fn without_commands(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        // Data of COPY begin with these.
        if line.starts_with("\\.") || line.starts_with("\\N") || !line.starts_with('\\') {
            let command = ["\\g", "\\crosstabview", "\\bind", "\\parse"];
            let cut = command.iter().filter_map(|command| line.find(command)).min();
            let line = match cut {
                Some(end) => format!("{};", &line[..end]),
                None => line.replace("\\;", ";"),
            };
            // Variables that psql sets itself.
            let line = line.replace(":'", "'").replace(":\"", "\"").replace(":ERROR", "ERROR");
            let line = line.replace(":SQLSTATE", "SQLSTATE").replace(":ROW_COUNT", "ROW_COUNT");
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

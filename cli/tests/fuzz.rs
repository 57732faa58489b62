//! Configuration files near those of the corpus never break what must hold for every one: `fuzz/src/configuration.rs`, which
//! cargo-fuzz runs too.
//!
//! Two seconds; `PUM_FUZZ_SECONDS=600 cargo test -p pum-cli --test fuzz` goes on for longer. What failed is left in a file
//! that is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/src/configuration.rs"]
#[allow(unreachable_pub)]
mod inputs;
#[path = "../../lib/tests/support/near.rs"]
mod near;

use std::time::Duration;

#[test]
fn what_must_hold_holds_near_the_corpus() {
    let known = near::corpus("configuration", &[]);
    let time = Duration::from_secs_f64(near::seconds(2.0));
    near::try_near("configuration", &known, time, inputs::configuration);
}

/// What would take an endless time or stack, were it followed to its end.
#[test]
fn what_is_made_to_exhaust_is_refused() {
    let anchors: String = (1..40)
        .map(|number| format!("a{number}: &a{number} [*a{0}, *a{0}]\n", number - 1))
        .collect();
    for text in [
        "[".repeat(100_000),
        format!("delta_dirs: {}", "[".repeat(500_000)),
        format!("variables: {}", "{a: ".repeat(100_000)),
        "- ".repeat(100_000),
        format!("a0: &a0 [x, x]\n{anchors}delta_dirs: *a39\n"),
        "delta_dirs: &a [*a]\n".to_owned(),
        format!("delta_dir: {}\n", "&x ".repeat(100_000)),
    ] {
        let begun = std::time::Instant::now();
        inputs::configuration(text.as_bytes());
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            &text[..40.min(text.len())]
        );
    }
}

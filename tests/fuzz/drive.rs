//! Gives a target its inputs, and keeps one that it fails on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::mutate;

/// A few seconds for each target, without optimization.
const INPUTS: u64 = 20_000;

/// The corpus as it is, then changed at random. Without `FUZZ_MINUTES` the inputs are the same each time.
pub(crate) fn run(name: &str, corpus: &[Vec<u8>], target: fn(&[u8])) {
    assert!(!corpus.is_empty(), "{name} has a corpus");
    for input in corpus {
        check(name, input, target);
    }
    let minutes = number("FUZZ_MINUTES");
    let seed = number("FUZZ_SEED")
        .unwrap_or_else(|| if minutes.is_some() { fastrand::u64(..) } else { 1 });
    let mut random = Rng::with_seed(seed);
    let end = minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let (mut inputs, begin) = (0, Instant::now());
    while end.map_or(inputs < INPUTS, |end| Instant::now() < end) {
        check(name, &mutate::input(corpus, &mut random), target);
        inputs += 1;
    }
    let (own, took) = (corpus.len(), begin.elapsed());
    eprintln!("{name}: {own} of the corpus and {inputs} changed in {took:.1?}, FUZZ_SEED={seed}");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

fn check(name: &str, input: &[u8], target: fn(&[u8])) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_ok() {
        return;
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
    std::fs::write(&file, input).unwrap();
    panic!(
        "{name} fails on {} bytes, kept in {}; once it is mended, put them into tests/fuzz/corpus/{name}:\n{}",
        input.len(),
        file.display(),
        input.escape_ascii()
    );
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let run = pum::Run::new();
    let t = std::time::Instant::now();
    let r = pum::check(
        &pum::Target::new(&a[1]).unwrap(),
        &pum::Target::new(&a[2]).unwrap(),
        &pum::Filter::default(),
        &run,
    )
    .unwrap();
    eprintln!("{:?}", t.elapsed());
    let v = a.get(3).and_then(|x| x.parse().ok()).unwrap_or(1);
    println!(
        "{}",
        r.to_text(&pum::TextOptions {
            verbosity: v,
            width: 100,
            color: a.len() > 4
        })
    );
    eprintln!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .find(|l| l.starts_with("VmHWM"))
            .unwrap()
    );
}

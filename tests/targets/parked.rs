// SPDX-License-Identifier: Apache-2.0
//! parked: threads of ARGV[1] that park, receive or sleep, until the end of stdin.
use std::io::BufRead;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

#[inline(never)]
fn descend(depth: u32, work: &dyn Fn()) {
    if depth > 0 {
        descend(depth - 1, work);
    } else {
        work();
    }
    std::hint::black_box(depth);
}

fn run(number: u32) {
    match number % 3 {
        0 => descend(number % 7, &|| loop {
            thread::park();
        }),
        1 => {
            let (_sender, receiver) = channel::<u32>();
            descend(number % 5, &|| {
                let _ = receiver.recv();
            });
        }
        _ => descend(number % 3, &|| thread::sleep(Duration::from_secs(1 << 30))),
    }
}

fn main() {
    let count = std::env::args().nth(1).map_or(30, |text| text.parse().unwrap());
    let all_started = Arc::new(Barrier::new(count as usize + 1));
    for number in 0..count {
        let barrier = all_started.clone();
        thread::Builder::new()
            .name(format!("parked-{number}"))
            .spawn(move || {
                barrier.wait();
                run(number)
            })
            .unwrap();
    }
    all_started.wait();
    thread::sleep(Duration::from_millis(200));
    println!("ready");
    for _ in std::io::stdin().lock().lines() {}
}

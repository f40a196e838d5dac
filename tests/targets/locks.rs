// SPDX-License-Identifier: Apache-2.0
// Rust's own locks: each wait lasts 10 ms and happens 50 times, in a function of its own. Prints
// what it measured itself, as stalls.c does.
use std::sync::{Condvar, Mutex, RwLock};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

const COUNT: u32 = 50;
const LENGTH: Duration = Duration::from_millis(10);

#[inline(never)]
fn wait_for_mutex(lock: &Mutex<u64>) {
    *lock.lock().unwrap() += 1;
}

#[inline(never)]
fn wait_for_reading(lock: &RwLock<u64>) -> u64 {
    *lock.read().unwrap()
}

#[inline(never)]
fn wait_for_condition(lock: &Mutex<u64>, condition: &Condvar) {
    let guard = lock.lock().unwrap();
    drop(condition.wait_timeout(guard, LENGTH).unwrap());
}

// Another thread holds the lock, says so, and lets go after a while.
fn measure<G>(hold: impl Fn() -> G + Sync, wait: impl Fn()) -> Duration {
    let mut sum = Duration::ZERO;
    for _ in 0..COUNT {
        let (held, is_held) = channel();
        thread::scope(|scope| {
            let hold = &hold;
            scope.spawn(move || {
                let guard = hold();
                held.send(()).unwrap();
                thread::sleep(LENGTH);
                drop(guard);
            });
            is_held.recv().unwrap();
            let begin = Instant::now();
            wait();
            sum += begin.elapsed();
        });
    }
    sum
}

fn main() {
    let mut line = String::new();
    let (mutex, rwlock) = (Mutex::new(0), RwLock::new(0));
    let (gate, condition) = (Mutex::new(0), Condvar::new());

    println!("ready");
    std::io::stdin().read_line(&mut line).unwrap();
    let mutexes = measure(|| mutex.lock().unwrap(), || wait_for_mutex(&mutex));
    let readings = measure(|| rwlock.write().unwrap(), || {
        wait_for_reading(&rwlock);
    });
    let begin = Instant::now();
    for _ in 0..COUNT {
        wait_for_condition(&gate, &condition);
    }
    let conditions = begin.elapsed();
    let sites = [("mutex", mutexes), ("reading", readings), ("condition", conditions)];
    let items: Vec<String> = sites
        .iter()
        .map(|(name, sum)| {
            format!("\"wait_for_{}\": {{\"count\": {}, \"ns\": {}}}", name, COUNT, sum.as_nanos())
        })
        .collect();
    println!("{{{}}}", items.join(", "));
    while std::io::stdin().read_line(&mut line).unwrap() > 0 {}
}

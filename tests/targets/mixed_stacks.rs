// SPDX-License-Identifier: Apache-2.0
//! Works and allocates in collections, closures, trait objects and threads until stdin ends.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::io::Read;

trait Shape {
    fn area(&self, deep: u32) -> f64;
}

struct Square(f64);
struct Group(Vec<Box<dyn Shape>>);

impl Shape for Square {
    fn area(&self, _deep: u32) -> f64 {
        self.0 * self.0
    }
}

impl Shape for Group {
    fn area(&self, deep: u32) -> f64 {
        let mut all: Vec<f64> = self.0.iter().map(|s| s.area(deep + 1)).collect();
        all.sort_by(|a, b| b.partial_cmp(a).unwrap());
        all.iter().sum()
    }
}

fn group(depth: u32) -> Box<dyn Shape> {
    if depth == 0 {
        return Box::new(Square(2.5));
    }
    Box::new(Group((0..3).map(|_| group(depth - 1)).collect()))
}

fn words(text: &str) -> BTreeMap<String, usize> {
    let mut counts = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

fn work(round: usize) -> usize {
    let mut out = String::new();
    for (word, count) in words("The quick brown Fox jumps over the lazy dog and the fox") {
        write!(out, "{word}={count:>width$};", width = round % 7 + 1).unwrap();
    }
    let caught = std::panic::catch_unwind(|| group(5).area(0));
    out.len() + caught.unwrap() as usize
}

fn main() {
    for _ in 0..2 {
        std::thread::spawn(|| {
            let mut sum = 0usize;
            for round in 0.. {
                sum = sum.wrapping_add(std::hint::black_box(work(round)));
            }
            sum
        });
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

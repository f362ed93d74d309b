//! What the result of a publish takes: bytes and allocations per target, and how many allocations a publish makes
//! on its way. Printed; counts don't depend on the machine.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "small counts for people")]

use std::time::Duration;

use fanfare::publish::{Publisher, TargetResult};
use tokio::runtime::Builder;

#[expect(dead_code, reason = "the benchmark of time uses more of it")]
#[path = "engine/bed.rs"]
mod bed;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/fanout/builder.rs"]
mod builder;
#[expect(dead_code, reason = "the benchmark of time uses more of it")]
#[path = "engine/null.rs"]
mod null;

use bed::{engine, request, targets};
use null::{Null, same_thread};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Bytes and blocks that are allocated now, and all blocks so far.
fn heap() -> [u64; 3] {
    let stats = dhat::HeapStats::get();
    [stats.curr_bytes as u64, stats.curr_blocks as u64, stats.total_blocks]
}

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("it can be built");
    let far = same_thread(&runtime);
    let _profiler = dhat::Profiler::builder().testing().build();
    println!("size of one result: {} bytes", size_of::<TargetResult>());
    println!(
        "{:>8}{:>8}{:>16}{:>22}{:>24}",
        "targets", "skipped", "bytes/target", "allocations/target", "allocations on the way"
    );
    for count in [1, 50, 100, 200] {
        for unhealthy in [0, count / 2] {
            let engine = engine(Null::new(&far, Duration::ZERO), targets(count, unhealthy));
            // Once for what is made with the first.
            drop(runtime.block_on(engine.publish(request(count))));
            let request = request(count);
            let before = heap();
            let result = runtime.block_on(engine.publish(request));
            let during = heap();
            drop(result);
            let after = heap();
            let per = |held: u64| held as f64 / count as f64;
            println!(
                "{count:>8}{unhealthy:>8}{:>16.1}{:>22.2}{:>24.2}",
                per(during[0] - after[0]),
                per(during[1] - after[1]),
                per(during[2] - before[2]),
            );
        }
    }
}

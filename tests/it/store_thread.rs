//! The thread that owns a store: one job after the other, and an error instead of a wait for ever
//! when it is gone.

use std::sync::{Arc, Mutex, mpsc};

use payouts::store::thread::StoreThread;
use payouts::store::{Setting, Store, StoreError};

use crate::common::db::on_both;

on_both! {
    fn jobs_run_in_the_order_they_were_given(db: TestDb) {
        let (thread, owner) = StoreThread::start(db.migrated()).unwrap();
        let ran = Arc::new(Mutex::new(Vec::new()));
        run(async {
            let job = |number: usize| {
                let (thread, ran) = (thread.clone(), Arc::clone(&ran));
                async move {
                    let note = move |number| ran.lock().expect("no job panics").push(number);
                    let answer = thread.call(move |store| {
                        note(number);
                        store.setting(Setting::DatabaseId)?;
                        Ok(number * 10)
                    });
                    assert_eq!(answer.await.unwrap(), number * 10);
                }
            };
            tokio::join!(job(1), job(2), job(3), job(4), job(5));
        });
        assert_eq!(*ran.lock().unwrap(), [1, 2, 3, 4, 5]);
        drop(thread);
        // The store comes back, in working order, when the last handle is gone.
        owner.join().unwrap().require_current_schema().unwrap();
    }

    fn what_a_job_returns_is_returned(db: TestDb) {
        let (thread, _owner) = StoreThread::start(db.migrated()).unwrap();
        let refused = run(thread.call(|_| Err::<(), _>(StoreError::Conflict("no".to_owned()))));
        assert!(matches!(refused, Err(StoreError::Conflict(text)) if text == "no"));
        // An error is no reason to end.
        run(thread.call(Store::database_id)).unwrap();
    }

    fn a_job_is_done_though_nobody_waits_any_more(db: TestDb) {
        let (thread, owner) = StoreThread::start(db.migrated()).unwrap();
        run(async {
            let (open, gate) = mpsc::channel();
            let first = thread.call(move |_| gate.recv().map_err(|_| StoreError::NotFound));
            let dropped = thread.call(|store| store.watermark_advance(store.clock().now()));
            // Both are handed over; the second caller goes away while the first job runs.
            let (mut first, mut dropped) = (Box::pin(first), Box::pin(dropped));
            tokio::select! {
                biased;
                _ = &mut first => panic!("the gate is closed"),
                _ = &mut dropped => panic!("the first job is in front"),
                () = std::future::ready(()) => {}
            }
            drop(dropped);
            open.send(()).unwrap();
            first.await.unwrap();
        });
        drop(thread);
        owner.join().unwrap();
        assert!(db.store().setting(Setting::Watermark).unwrap().is_some());
    }

    fn a_job_that_panics_ends_the_thread_and_hangs_nobody(db: TestDb) {
        let (thread, owner) = StoreThread::start(db.migrated()).unwrap();
        run(async {
            let panics = thread.call(|_| -> Result<(), StoreError> { panic!("on purpose") });
            let queued = thread.call(Store::database_id);
            let (panics, queued) = tokio::join!(panics, queued);
            assert!(matches!(panics, Err(StoreError::Stopped)), "{panics:?}");
            assert!(matches!(queued, Err(StoreError::Stopped)), "{queued:?}");
        });
        assert!(owner.join().is_err());
        let later = run(thread.call(Store::database_id));
        assert!(matches!(later, Err(StoreError::Stopped)), "{later:?}");
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(future)
}

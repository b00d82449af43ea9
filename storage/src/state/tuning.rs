//! How RocksDB is set up, and why.

use std::ffi::CStr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rocksdb::{
    BlockBasedOptions, BlockBasedTablePinningTier, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, Options, SliceTransform,
    WriteBufferManager,
};

use super::{garbage, meta, version_key};
use crate::error::Result;

/// Limits of the state store.
#[derive(Clone, Debug)]
pub struct StateOptions {
    /// Blocks of files, their indexes and filters; grows with use up to this.
    pub block_cache_bytes: usize,
    /// One memory table. A bigger one makes fewer, larger files; replay after a crash takes longer.
    pub memory_table_bytes: usize,
    /// All memory tables together, those being flushed included.
    pub memory_tables_bytes: usize,
    /// Threads for flushes and compactions.
    pub background_threads: u32,
}

impl Default for StateOptions {
    fn default() -> Self {
        StateOptions {
            block_cache_bytes: 256 << 20,
            memory_table_bytes: 32 << 20,
            memory_tables_bytes: 128 << 20,
            background_threads: 2,
        }
    }
}

impl StateOptions {
    /// The least that works, for tests.
    pub fn small() -> Self {
        StateOptions {
            block_cache_bytes: 4 << 20,
            memory_table_bytes: 1 << 20,
            memory_tables_bytes: 4 << 20,
            background_threads: 2,
        }
    }
}

/// Keys of one row share the prefix; the name is stored in every file and must not change without the format.
const PREFIX_NAME: &CStr = c"curia.version-prefix.1";

pub(super) fn open(path: &Path, options: &StateOptions, horizon: &Arc<AtomicU64>) -> Result<DB> {
    let cache = Cache::new_lru_cache(options.block_cache_bytes);
    // A clean stop flushes first, deliberately; closing alone leaves what a crash leaves.
    let mut database = Options::default().get_options_from_string("avoid_flush_during_shutdown=true")?;
    database.create_if_missing(true);
    database.create_missing_column_families(true);
    // Flush all column families together: the applied positions in meta are exactly as durable as the rows.
    database.set_atomic_flush(true);
    database.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager(options.memory_tables_bytes, false));
    database.set_max_background_jobs(options.background_threads as i32);
    // One thread writes: the plain insertion path is cheaper than the concurrent one.
    database.set_allow_concurrent_memtable_write(false);
    database.set_enable_write_thread_adaptive_yield(false);
    // Writes back files while they are made, instead of in one burst that delays the log's syncs.
    database.set_bytes_per_sync(1 << 20);
    database.set_max_open_files(512);
    database.set_keep_log_file_num(4);
    database.set_max_log_file_size(4 << 20);
    database.set_stats_dump_period_sec(0);
    database.set_stats_persist_period_sec(0);
    database.set_skip_stats_update_on_db_open(true);

    let versions = version_options(options, &cache, horizon);
    let families = [
        ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, versions),
        ColumnFamilyDescriptor::new(garbage::DELETED_FAMILY, plain_options(&cache, options.memory_table_bytes)),
        ColumnFamilyDescriptor::new(meta::FAMILY, plain_options(&cache, META_TABLE_BYTES)),
    ];
    let db = DB::open_cf_descriptors(&database, path, families)?;
    Ok(db)
}

fn version_options(options: &StateOptions, cache: &Cache, horizon: &Arc<AtomicU64>) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(8 << 10);
    blocks.set_format_version(6);
    // The filter knows rows, not versions: a point read asks for a row at a CSN that it has rarely been written at.
    blocks.set_bloom_filter(10.0, false);
    blocks.set_whole_key_filtering(false);
    blocks.set_optimize_filters_for_memory(true);
    // Indexes and filters count against the cache, and stay in it: a read never loads one.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
    blocks.set_unpartitioned_pinning_tier(BlockBasedTablePinningTier::All);

    let mut family = Options::default();
    family.set_block_based_table_factory(&blocks);
    family.set_prefix_extractor(SliceTransform::create(
        PREFIX_NAME,
        version_key::prefix,
        Some(version_key::in_domain),
    ));
    family.set_memtable_prefix_bloom_ratio(0.05);
    family.set_write_buffer_size(options.memory_table_bytes);
    family.set_max_write_buffer_number(4);
    // Levels in proportion to memory tables, so that a small store has the shape of a large one.
    family.set_target_file_size_base(options.memory_table_bytes as u64);
    family.set_max_bytes_for_level_base(8 * options.memory_table_bytes as u64);
    family.set_level_compaction_dynamic_level_bytes(true);
    family.set_level_zero_file_num_compaction_trigger(4);
    family.set_level_zero_slowdown_writes_trigger(20);
    family.set_level_zero_stop_writes_trigger(36);
    // Fresh files are rewritten soon: compressing them costs more than it saves.
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_compression_per_level(&[
        DBCompressionType::None,
        DBCompressionType::None,
        DBCompressionType::Lz4,
        DBCompressionType::Lz4,
        DBCompressionType::Lz4,
        DBCompressionType::Lz4,
        DBCompressionType::Lz4,
    ]);
    family.set_compaction_filter_factory(garbage::SupersededFactory::new(horizon.clone()));
    family
}

/// A memory table of positions and times.
const META_TABLE_BYTES: usize = 8 << 20;

fn plain_options(cache: &Cache, memory_table_bytes: usize) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    let mut family = Options::default();
    family.set_block_based_table_factory(&blocks);
    family.set_write_buffer_size(memory_table_bytes);
    family.set_compression_type(DBCompressionType::None);
    family
}

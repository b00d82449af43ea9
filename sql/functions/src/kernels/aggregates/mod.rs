//! Aggregates with PostgreSQL's result types: `sum(int4)` is int8, `sum(int8)` and integer averages are numeric.

mod collect;
mod extremes;
mod moments;
mod ordered_set;
mod sums;

use super::json::collect::{Document, Text, no_state};
use super::macros::kernels;
use crate::{AggregateKernel, CallTypes, Kernel};
use curia_types::{PgType, oid};

macro_rules! aggregate {
    ($new:expr, $($state:expr),*) => {
        Kernel::Aggregate({
            static K: AggregateKernel = AggregateKernel { new: |_| Box::new($new), state: |_| vec![$($state),*], ordered: false };
            &K
        })
    };
}

/// State of one value of the argument's type.
macro_rules! own_type {
    ($new:expr) => {
        Kernel::Aggregate({
            static K: AggregateKernel = AggregateKernel {
                new: $new,
                state: |t| vec![t.args[0]],
                ordered: false,
            };
            &K
        })
    };
}

macro_rules! extreme {
    ($max:expr) => {
        own_type!(|t| Box::new(extremes::Extreme::new($max, t.args[0].oid)))
    };
}

macro_rules! ordered {
    ($new:expr, $state:expr) => {
        Kernel::Aggregate({
            static K: AggregateKernel = AggregateKernel {
                new: $new,
                state: $state,
                ordered: true,
            };
            &K
        })
    };
}

const INT8: PgType = PgType::INT8;
const FLOAT8: PgType = PgType::FLOAT8;
const NUMERIC: PgType = PgType::NUMERIC;

fn array_state(t: &CallTypes<'_>) -> Vec<PgType> {
    let element = t.args.first().map_or(oid::TEXT, |a| a.oid);
    vec![PgType::with_typmod(
        curia_types::type_info::array_of(element).unwrap_or(element),
        -1,
    )]
}

macro_rules! numeric_sum {
    ($avg:expr) => {
        aggregate!(
            sums::NumericSums {
                avg: $avg,
                sum: Default::default()
            },
            NUMERIC,
            INT8,
            INT8,
            INT8,
            INT8,
            INT8,
            INT8
        )
    };
}
macro_rules! numeric_moment {
    ($kind:ident) => {
        aggregate!(moments::NumericMoments::new(moments::Kind::$kind), NUMERIC, NUMERIC, INT8)
    };
}
macro_rules! float_moment {
    ($kind:ident) => {
        aggregate!(moments::FloatMoments::new(moments::Kind::$kind), FLOAT8, FLOAT8, FLOAT8)
    };
}
macro_rules! pair {
    ($kind:ident) => {
        aggregate!(
            moments::PairMoments::new(moments::Pair::$kind),
            FLOAT8,
            FLOAT8,
            FLOAT8,
            FLOAT8,
            FLOAT8,
            FLOAT8
        )
    };
}

macro_rules! percentile {
    ($kind:ident) => {
        ordered!(
            |t| Box::new(ordered_set::Percentiles::new(ordered_set::Percentile::$kind, t.args[1].oid)),
            |t| vec![t.args[1]]
        )
    };
}
macro_rules! hypothetical {
    ($kind:ident) => {
        ordered!(
            |t| {
                let values = t.args.iter().skip(2).map(|t| t.oid).collect();
                Box::new(ordered_set::Hypothetical::new(ordered_set::Ranking::$kind, values))
            },
            |_| vec![INT8]
        )
    };
}

kernels! {
    "count()" = aggregate!(sums::Count { rows: true, n: 0 }, INT8);
    "count(\"any\")" = aggregate!(sums::Count { rows: false, n: 0 }, INT8);
    "sum(smallint)" => aggregate!(sums::IntegerSum { sum: 0, n: 0 }, INT8, INT8);
    "sum(integer)" => aggregate!(sums::IntegerSum { sum: 0, n: 0 }, INT8, INT8);
    "sum(bigint)" => numeric_sum!(false);
    "sum(numeric)" => numeric_sum!(false);
    "sum(real)" => aggregate!(sums::FloatSum { single: true, sum: None }, FLOAT8);
    "sum(double precision)" => aggregate!(sums::FloatSum { single: false, sum: None }, FLOAT8);
    "sum(interval)" => aggregate!(sums::IntervalSum { avg: false, sum: None, n: 0 }, PgType::INTERVAL, INT8);
    "avg(smallint)" => numeric_sum!(true);
    "avg(integer)" => numeric_sum!(true);
    "avg(bigint)" => numeric_sum!(true);
    "avg(numeric)" => numeric_sum!(true);
    "avg(real)" => float_moment!(Avg);
    "avg(double precision)" => float_moment!(Avg);
    "avg(interval)" => aggregate!(sums::IntervalSum { avg: true, sum: None, n: 0 }, PgType::INTERVAL, INT8);

    "max(anyenum)" = extreme!(true);
    "min(anyenum)" = extreme!(false);
    "max(smallint)" = extreme!(true);
    "max(integer)" = extreme!(true);
    "max(bigint)" = extreme!(true);
    "max(oid)" = extreme!(true);
    "max(real)" = extreme!(true);
    "max(double precision)" = extreme!(true);
    "max(numeric)" = extreme!(true);
    "max(text)" = extreme!(true);
    "max(character)" = extreme!(true);
    "max(date)" = extreme!(true);
    "max(time without time zone)" = extreme!(true);
    "max(timestamp without time zone)" = extreme!(true);
    "max(timestamp with time zone)" = extreme!(true);
    "max(interval)" = extreme!(true);
    "max(time with time zone)" = extreme!(true);
    "max(xid8)" = extreme!(true);
    "max(inet)" = extreme!(true);
    "min(inet)" = extreme!(false);
    "max(pg_lsn)" = extreme!(true);
    "min(time with time zone)" = extreme!(false);
    "min(xid8)" = extreme!(false);
    "min(pg_lsn)" = extreme!(false);
    "max(anyarray)" = extreme!(true);
    "min(smallint)" = extreme!(false);
    "min(integer)" = extreme!(false);
    "min(bigint)" = extreme!(false);
    "min(oid)" = extreme!(false);
    "min(real)" = extreme!(false);
    "min(double precision)" = extreme!(false);
    "min(numeric)" = extreme!(false);
    "min(text)" = extreme!(false);
    "min(character)" = extreme!(false);
    "min(date)" = extreme!(false);
    "min(time without time zone)" = extreme!(false);
    "min(timestamp without time zone)" = extreme!(false);
    "min(timestamp with time zone)" = extreme!(false);
    "min(interval)" = extreme!(false);
    "min(anyarray)" = extreme!(false);

    "bool_and(boolean)" = own_type!(|_| Box::new(extremes::Logic { and: true, value: None }));
    "every(boolean)" = own_type!(|_| Box::new(extremes::Logic { and: true, value: None }));
    "bool_or(boolean)" = own_type!(|_| Box::new(extremes::Logic { and: false, value: None }));
    "bit_and(smallint)" = own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::And)));
    "bit_and(integer)" = own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::And)));
    "bit_and(bigint)" = own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::And)));
    "bit_or(smallint)" = own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::Or)));
    "bit_or(integer)" = own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::Or)));
    "bit_or(bigint)" = own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::Or)));
    "bit_xor(smallint)" = own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::Xor)));
    "bit_xor(integer)" = own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::Xor)));
    "bit_xor(bigint)" = own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::Xor)));

    "bit_and(bit)" => own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::And)));
    "bit_or(bit)" => own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::Or)));
    "bit_xor(bit)" => own_type!(|_| Box::new(extremes::Bits::new(extremes::Bit::Xor)));

    "string_agg(text,text)" => ordered!(|_| Box::new(collect::StringAgg::default()), |_| vec![PgType::TEXT, PgType::TEXT]);
    "string_agg(bytea,bytea)" => ordered!(|_| Box::new(collect::ByteaAgg::default()), |_| vec![PgType::BYTEA, PgType::BYTEA]);
    "json_agg(anyelement)" => ordered!(|t| Box::new(Text::new(t)), no_state);
    "json_object_agg(\"any\",\"any\")" => ordered!(|t| Box::new(Text::new(t)), no_state);
    "jsonb_agg(anyelement)" => ordered!(|t| Box::new(Document::new(t)), no_state);
    "jsonb_object_agg(\"any\",\"any\")" => ordered!(|t| Box::new(Document::new(t)), no_state);
    "array_agg(anynonarray)" => ordered!(|t| Box::new(collect::ArrayAgg::new(t.args[0].oid)), array_state);
    "array_agg(anyarray)" => ordered!(|t| Box::new(collect::ArrayStack::new(t.args[0].oid)), |t| vec![t.args[0]]);

    "percentile_disc(double precision,anyelement)" => percentile!(Value);
    "percentile_disc(double precision[],anyelement)" => percentile!(Value);
    "percentile_cont(double precision,double precision)" => percentile!(Between);
    "percentile_cont(double precision[],double precision)" => percentile!(Between);
    "percentile_cont(double precision,interval)" => percentile!(Between);
    "percentile_cont(double precision[],interval)" => percentile!(Between);
    "mode(anyelement)" => ordered!(|t| Box::new(ordered_set::Mode::new(t.args[0].oid)), |t| vec![t.args[0]]);
    "rank(\"any\")" => hypothetical!(Plain);
    "dense_rank(\"any\")" => hypothetical!(Dense);
    "percent_rank(\"any\")" => hypothetical!(Percent);
    "cume_dist(\"any\")" => hypothetical!(CumulativeShare);

    "variance(smallint)" => numeric_moment!(VarSamp);
    "variance(integer)" => numeric_moment!(VarSamp);
    "variance(bigint)" => numeric_moment!(VarSamp);
    "variance(numeric)" => numeric_moment!(VarSamp);
    "var_samp(smallint)" => numeric_moment!(VarSamp);
    "var_samp(integer)" => numeric_moment!(VarSamp);
    "var_samp(bigint)" => numeric_moment!(VarSamp);
    "var_samp(numeric)" => numeric_moment!(VarSamp);
    "var_pop(smallint)" => numeric_moment!(VarPop);
    "var_pop(integer)" => numeric_moment!(VarPop);
    "var_pop(bigint)" => numeric_moment!(VarPop);
    "var_pop(numeric)" => numeric_moment!(VarPop);
    "stddev(smallint)" => numeric_moment!(StddevSamp);
    "stddev(integer)" => numeric_moment!(StddevSamp);
    "stddev(bigint)" => numeric_moment!(StddevSamp);
    "stddev(numeric)" => numeric_moment!(StddevSamp);
    "stddev_samp(smallint)" => numeric_moment!(StddevSamp);
    "stddev_samp(integer)" => numeric_moment!(StddevSamp);
    "stddev_samp(bigint)" => numeric_moment!(StddevSamp);
    "stddev_samp(numeric)" => numeric_moment!(StddevSamp);
    "stddev_pop(smallint)" => numeric_moment!(StddevPop);
    "stddev_pop(integer)" => numeric_moment!(StddevPop);
    "stddev_pop(bigint)" => numeric_moment!(StddevPop);
    "stddev_pop(numeric)" => numeric_moment!(StddevPop);
    "variance(real)" => float_moment!(VarSamp);
    "variance(double precision)" => float_moment!(VarSamp);
    "var_samp(real)" => float_moment!(VarSamp);
    "var_samp(double precision)" => float_moment!(VarSamp);
    "var_pop(real)" => float_moment!(VarPop);
    "var_pop(double precision)" => float_moment!(VarPop);
    "stddev(real)" => float_moment!(StddevSamp);
    "stddev(double precision)" => float_moment!(StddevSamp);
    "stddev_samp(real)" => float_moment!(StddevSamp);
    "stddev_samp(double precision)" => float_moment!(StddevSamp);
    "stddev_pop(real)" => float_moment!(StddevPop);
    "stddev_pop(double precision)" => float_moment!(StddevPop);
    "regr_count(double precision,double precision)" = pair!(Count);
    "regr_sxx(double precision,double precision)" => pair!(Sxx);
    "regr_syy(double precision,double precision)" => pair!(Syy);
    "regr_sxy(double precision,double precision)" => pair!(Sxy);
    "regr_avgx(double precision,double precision)" => pair!(AvgX);
    "regr_avgy(double precision,double precision)" => pair!(AvgY);
    "regr_r2(double precision,double precision)" => pair!(R2);
    "regr_slope(double precision,double precision)" => pair!(Slope);
    "regr_intercept(double precision,double precision)" => pair!(Intercept);
    "covar_pop(double precision,double precision)" => pair!(CovarPop);
    "covar_samp(double precision,double precision)" => pair!(CovarSamp);
    "corr(double precision,double precision)" => pair!(Corr);
}

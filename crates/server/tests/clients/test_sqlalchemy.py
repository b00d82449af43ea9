"""SQLAlchemy 2 with psycopg: Core, the ORM, and what its Inspector reads back."""

import datetime as dt
import enum
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql


class Colour(enum.Enum):
    red = 1
    green = 2


class Base(orm.DeclarativeBase):
    metadata = sa.MetaData(schema="shop")


class Customer(Base):
    __tablename__ = "customer"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(40), unique=True)
    since: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    orders: orm.Mapped[list["Order"]] = orm.relationship(back_populates="customer", cascade="all, delete-orphan", passive_deletes=True)


class Order(Base):
    __tablename__ = "order"
    __table_args__ = (sa.CheckConstraint("total >= 0", name="total_is_positive"), sa.Index("order_by_customer", "customer_id", sa.desc("total")))
    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(always=True), primary_key=True)
    customer_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("shop.customer.id", ondelete="CASCADE"))
    total: orm.Mapped[Decimal] = orm.mapped_column(sa.Numeric(10, 2), default=0)
    colour: orm.Mapped[Colour | None]
    notes: orm.Mapped[dict | None] = orm.mapped_column(postgresql.JSONB)
    tags: orm.Mapped[list | None] = orm.mapped_column(postgresql.ARRAY(sa.Text))
    customer: orm.Mapped[Customer] = orm.relationship(back_populates="orders")


@pytest.fixture(scope="module")
def engine(server):
    engine = sa.create_engine(server.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("shop"))
    Base.metadata.create_all(engine)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


def test_objects_are_stored_changed_and_deleted_with_what_they_own(engine):
    with orm.Session(engine) as session:
        ada = Customer(name="Ada", orders=[Order(total=Decimal("9.50"), colour=Colour.red, notes={"gift": True}, tags=["a", "b"]), Order(total=1)])
        session.add_all([ada, Customer(name="Bob"), Customer(name="Cyd", orders=[Order(total=n) for n in range(20)])])
        session.commit()
        assert ada.id is not None and ada.since is not None and [o.id is not None for o in ada.orders] == [True, True]
        order = session.scalars(sa.select(Order).where(Order.colour == Colour.red)).one()
        assert (order.customer.name, order.total, order.notes, order.tags) == ("Ada", Decimal("9.50"), {"gift": True}, ["a", "b"])
        order.total += 1
        session.commit()
        total = sa.func.sum(Order.total).label("total")
        query = sa.select(Customer.name, total).outerjoin(Customer.orders).group_by(Customer.name).order_by(Customer.name)
        assert session.execute(query).all() == [("Ada", Decimal("11.50")), ("Bob", None), ("Cyd", Decimal(190))]
        loaded = session.scalars(sa.select(Customer).options(orm.selectinload(Customer.orders)).order_by(Customer.name)).all()
        assert [len(c.orders) for c in loaded] == [2, 0, 20]
        session.delete(ada)
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Order)) == 20


def test_a_failed_flush_leaves_the_outer_transaction(engine):
    with orm.Session(engine) as session:
        session.add(Customer(name="Dan"))
        session.flush()
        with pytest.raises(sa.exc.IntegrityError):
            with session.begin_nested():
                session.add(Customer(name="Dan"))
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).where(Customer.name == "Dan")) == 1


def test_core_upserts_and_returns(engine):
    table = sa.Table("counter", sa.MetaData(), sa.Column("name", sa.Text, primary_key=True), sa.Column("n", sa.Integer))
    with engine.begin() as connection:
        table.create(connection)
        insert = postgresql.insert(table).values(name="x", n=1)
        upsert = insert.on_conflict_do_update(index_elements=["name"], set_={"n": table.c.n + insert.excluded.n}).returning(table.c.n)
        assert [connection.execute(upsert).scalar_one() for _ in range(3)] == [1, 2, 3]
        recent = sa.select(table).where(table.c.n > 2).cte("recent")
        assert connection.execute(sa.select(recent.c.name)).scalars().all() == ["x"]
        ranked = sa.select(table.c.name, sa.func.rank().over(order_by=table.c.n.desc()))
        assert connection.execute(ranked).all() == [("x", 1)]
        connection.execute(table.insert(), [{"name": f"n{n}", "n": n} for n in range(500)])
        assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 501
        table.drop(connection)


def test_the_inspector_reads_back_what_was_created(engine):
    inspector = sa.inspect(engine)
    assert "shop" in inspector.get_schema_names()
    assert sorted(inspector.get_table_names("shop")) == ["customer", "order"]
    columns = {c["name"]: c for c in inspector.get_columns("order", "shop")}
    assert str(columns["total"]["type"]) == "NUMERIC(10, 2)" and not columns["total"]["nullable"]
    assert columns["id"]["identity"]["always"] is True
    assert columns["colour"]["type"].enums == ["red", "green"]
    assert isinstance(columns["notes"]["type"], postgresql.JSONB)
    assert isinstance(columns["tags"]["type"], postgresql.ARRAY)
    assert inspector.get_pk_constraint("order", "shop") == {"constrained_columns": ["id"], "name": "order_pkey", "comment": None, "dialect_options": {"postgresql_include": []}}
    (key,) = inspector.get_foreign_keys("order", "shop")
    assert (key["constrained_columns"], key["referred_schema"], key["referred_table"], key["options"]) == (["customer_id"], "shop", "customer", {"ondelete": "CASCADE"})
    (index,) = inspector.get_indexes("order", "shop")
    assert (index["name"], index["column_names"], index["column_sorting"]) == ("order_by_customer", ["customer_id", "total"], {"total": ("desc",)})
    (check,) = inspector.get_check_constraints("order", "shop")
    assert (check["name"], check["sqltext"]) == ("total_is_positive", "total >= 0::numeric")
    assert [u["column_names"] for u in inspector.get_unique_constraints("customer", "shop")] == [["name"]]
    reflected = sa.MetaData()
    reflected.reflect(engine, schema="shop")
    assert sorted(reflected.tables) == ["shop.customer", "shop.order"]
    assert reflected.tables["shop.order"].c.customer_id.references(reflected.tables["shop.customer"].c.id)

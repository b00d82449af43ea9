"""A small Django application in one file: models, migrations made from them, queries as the admin makes them, TestCases, inspectdb.

CURIA_HOST and CURIA_PORT say where the server is; CURIA_USER and CURIA_DATABASE default to curia.
"""

import importlib.machinery
import io
import os
import sys
import tempfile
import types
import unittest
from decimal import Decimal

import django
from django.conf import settings

folder = tempfile.mkdtemp()
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "library"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ.get("CURIA_DATABASE", "curia"),
            "USER": os.environ.get("CURIA_USER", "curia"),
            "HOST": os.environ["CURIA_HOST"],
            "PORT": os.environ["CURIA_PORT"],
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MIGRATION_MODULES={"library": "library_migrations"},
    USE_TZ=True,
    SECRET_KEY="only for this test",
)

# The application `library` and its migrations are modules made here and in a folder of their own.
os.makedirs(os.path.join(folder, "library_migrations"))
open(os.path.join(folder, "library_migrations", "__init__.py"), "w").close()
sys.path.insert(0, folder)
library = types.ModuleType("library")
library.__path__ = [folder]
library.__file__ = os.path.join(folder, "__init__.py")
models_module = types.ModuleType("library.models")
for module in (library, models_module):
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
sys.modules.update({"library": library, "library.models": models_module})
library.models = models_module
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.models import Avg, Count, Exists, F, OuterRef, Prefetch, Q, Subquery, Sum, Window  # noqa: E402
from django.db.models.functions import Coalesce, Lower, RowNumber, TruncMonth  # noqa: E402
from django.test import TestCase, TransactionTestCase  # noqa: E402


class Author(models.Model):
    name = models.CharField(max_length=100, unique=True)
    born = models.DateField(null=True, blank=True)

    class Meta:
        app_label = "library"
        ordering = ["name"]


class Tag(models.Model):
    word = models.SlugField()

    class Meta:
        app_label = "library"


class Book(models.Model):
    title = models.CharField(max_length=200, db_index=True)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    tags = models.ManyToManyField(Tag)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    data = models.JSONField(default=dict)
    added = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "library"
        unique_together = [("title", "author")]
        constraints = [models.CheckConstraint(condition=Q(price__gte=0), name="price_is_positive")]
        indexes = [models.Index(fields=["author", "-price"], name="book_price")]


for model in (Author, Tag, Book):
    setattr(models_module, model.__name__, model)


class Queries(TestCase):
    """Each test runs in a transaction that is rolled back; the data of the class in an outer one."""

    @classmethod
    def setUpTestData(cls):
        cls.ada = Author.objects.create(name="Ada", born="1815-12-10")
        cls.bob = Author.objects.create(name="Bob")
        tags = Tag.objects.bulk_create([Tag(word=w) for w in ("old", "new")])
        for n in range(5):
            book = Book.objects.create(title=f"Book {n}", author=cls.ada if n % 2 else cls.bob, price=Decimal(n), data={"n": n, "list": [1, n]})
            book.tags.set(tags[: n % 3])

    def test_lookups(self):
        titles = lambda q: list(q.order_by("title").values_list("title", flat=True))  # noqa: E731
        self.assertEqual(titles(Book.objects.filter(author__name__iexact="ADA")), ["Book 1", "Book 3"])
        self.assertEqual(titles(Book.objects.filter(title__icontains="OOK 4")), ["Book 4"])
        self.assertEqual(titles(Book.objects.exclude(Q(price__lt=3) | Q(author=self.ada))), ["Book 4"])
        self.assertEqual(titles(Book.objects.filter(price__in=[1, 2], added__year__gte=2000)), ["Book 1", "Book 2"])
        self.assertEqual(titles(Book.objects.filter(title__regex=r"[34]$")), ["Book 3", "Book 4"])
        self.assertEqual(titles(Book.objects.filter(tags__word="new")), ["Book 2"])
        self.assertEqual(titles(Book.objects.filter(data__n=3)), ["Book 3"])
        self.assertEqual(titles(Book.objects.filter(data__contains={"n": 2})), ["Book 2"])

    def test_aggregates_and_subqueries(self):
        authors = Author.objects.annotate(n=Count("books"), total=Coalesce(Sum("books__price"), Decimal(0))).order_by("name")
        self.assertEqual([(a.name, a.n, a.total) for a in authors], [("Ada", 2, 4), ("Bob", 3, 6)])
        newest = Book.objects.filter(author=OuterRef("pk")).order_by("-price").values("title")[:1]
        self.assertEqual(Author.objects.annotate(top=Subquery(newest)).get(name="Ada").top, "Book 3")
        self.assertEqual(Author.objects.filter(Exists(Book.objects.filter(author=OuterRef("pk"), price__gt=3))).get(), self.bob)
        self.assertEqual(Book.objects.aggregate(mean=Avg("price"))["mean"], 2)
        months = Book.objects.annotate(month=TruncMonth("added")).values("month").annotate(n=Count("id"))
        self.assertEqual([m["n"] for m in months], [5])
        ranked = Book.objects.annotate(place=Window(RowNumber(), partition_by="author", order_by=F("price").desc()))
        self.assertEqual(sorted(b.place for b in ranked), [1, 1, 2, 2, 3])

    def test_related_objects_and_what_the_admin_asks(self):
        with self.assertNumQueries(1):
            self.assertEqual([b.author.name for b in Book.objects.select_related("author").order_by("title")], ["Bob", "Ada", "Bob", "Ada", "Bob"])
        with self.assertNumQueries(2):
            authors = Author.objects.prefetch_related(Prefetch("books", Book.objects.order_by("-price")))
            self.assertEqual([[b.title for b in a.books.all()] for a in authors], [["Book 3", "Book 1"], ["Book 4", "Book 2", "Book 0"]])
        page = Book.objects.filter(Q(title__icontains="book") & Q(author__name__icontains="a")).distinct().order_by("-id")
        self.assertEqual((page.count(), len(page[:1])), (2, 1))
        self.assertEqual(Book.objects.dates("added", "year").count(), 1)

    def test_changes(self):
        self.assertEqual(Book.objects.filter(author=self.ada).update(price=F("price") * 2, title=Lower("title")), 2)
        book, made = Book.objects.update_or_create(title="Book 0", author=self.bob, defaults={"price": 7})
        self.assertEqual((made, book.price), (False, 7))
        Author.objects.bulk_create([Author(name="Bob"), Author(name="Cyd")], ignore_conflicts=True)
        self.assertEqual(Author.objects.count(), 3)
        self.assertEqual(self.ada.delete()[1], {"library.Book_tags": 1, "library.Book": 2, "library.Author": 1})
        with self.assertRaises(IntegrityError), transaction.atomic():
            Book.objects.create(title="Book 9", author=self.bob, price=-1)
        self.assertEqual(list(Book.objects.select_for_update().filter(pk=book.pk)), [book])

    def test_the_tests_before_left_nothing(self):
        self.assertEqual((Author.objects.count(), Book.objects.count()), (2, 5))


class Committed(TransactionTestCase):
    """Tables are truncated after each test."""

    available_apps = ["library", "django.contrib.contenttypes", "django.contrib.auth"]

    def test_deferred_foreign_keys_are_checked_at_the_commit(self):
        with self.assertRaises(IntegrityError):
            with transaction.atomic():
                Book.objects.create(title="orphan", author_id=999_999)
        self.assertEqual(Book.objects.count(), 0)


def main():
    call_command("makemigrations", "library", verbosity=0)
    call_command("migrate", verbosity=0)
    result = unittest.TextTestRunner(stream=sys.stdout).run(
        unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(t) for t in (Queries, Committed))
    )
    out = io.StringIO()
    call_command("inspectdb", "library_book", stdout=out)
    text = out.getvalue()
    for line in ("title = models.CharField(max_length=200)", "price = models.DecimalField(max_digits=8, decimal_places=2)",
                 "author = models.ForeignKey('LibraryAuthor', models.DO_NOTHING)", "data = models.JSONField()",
                 "unique_together = (('title', 'author'),)"):
        if line not in text:
            print(f"inspectdb did not say {line!r}:\n{text}")
            sys.exit(1)
    call_command("migrate", "library", "zero", verbosity=0)
    with connection.cursor() as cursor:
        left = [t for t in connection.introspection.table_names(cursor) if t.startswith("library_")]
    if left or not result.wasSuccessful():
        print("tables left:", left)
        sys.exit(1)
    print("every check passed")


main()

"""The database opens whole or says in one line why not, however many processes open it, and follows its history."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import alembic.command
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import hearth
from hearth.conversations.message import Part, PartKind, Role
from hearth.conversations.store import ConversationStore
from hearth.errors import DatabaseBusy, DatabaseDamaged, DatabaseFromTheFuture, DiskFull, HomeUnwritable
from hearth.paths import database_file
from hearth.storage.base import Base
from hearth.storage.changes import ChangeWatcher
from hearth.storage.database import Database
from hearth.storage.history import HEAD, MIGRATIONS, REVISIONS

CHILD_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(hearth.__file__).parents[1])}


@pytest.fixture
def path() -> Path:
    return database_file()


def pragma(database: Database, name: str) -> object:
    with database.reading() as session:
        return session.execute(sqlalchemy.text(f"PRAGMA {name}")).scalar_one()


def test_a_new_database_is_made_with_the_settings_that_keep_text_safe(path: Path) -> None:
    with Database.open(path) as database:
        assert pragma(database, "journal_mode") == "wal"
        assert pragma(database, "foreign_keys") == 1
        assert pragma(database, "synchronous") == 2
        assert pragma(database, "busy_timeout") == 5000
        assert pragma(database, "integrity_check") == "ok"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_only_its_owner_may_read_it(path: Path) -> None:
    Database.open(path).close()
    assert path.stat().st_mode & 0o077 == 0


def test_the_constants_are_the_history_and_the_tables_are_what_it_makes(path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert [revision.revision for revision in script.walk_revisions()] == list(reversed(REVISIONS))
    assert script.get_current_head() == HEAD
    Database.open(path).close()
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_current_database_opens_without_alembic(path: Path) -> None:
    Database.open(path).close()
    code = (
        "import sys; from hearth.paths import database_file; from hearth.storage.database import Database;"
        "Database.open(database_file()).close(); sys.exit('alembic' in sys.modules)"
    )
    home = {"HEARTH_HOME": str(path.parent)}
    subprocess.run([sys.executable, "-c", code], env={**CHILD_ENVIRONMENT, **home}, check=True, timeout=60)


def test_a_database_from_the_future_is_refused_and_left_alone(path: Path) -> None:
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseFromTheFuture):
        Database.open(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to have a header" * 40, b"\0" * 4096]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DatabaseDamaged) as caught:
        Database.open(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bookmark (url TEXT)")
    with pytest.raises(DatabaseDamaged, match="not a database of Hearth"):
        Database.open(path)


def test_a_damaged_page_is_refused_or_reported_when_it_is_read(path: Path) -> None:
    with Database.open(path) as database:
        store = ConversationStore(database)
        for _ in range(200):
            store.create(title="long " * 50)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(DatabaseDamaged), Database.open(path) as database:
        ConversationStore(database).list()


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with Database.open(path) as database:
        assert ConversationStore(database).count() == 0


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = alembic.command.upgrade

    def fail_at_the_end(config: Config, revision: str) -> None:
        upgrade(config, revision)
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(alembic.command, "upgrade", fail_at_the_end)
        with pytest.raises(RuntimeError):
            Database.open(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    with Database.open(path) as database:
        assert ConversationStore(database).count() == 0


def test_a_name_with_odd_characters_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "50% of ü?#&=' home" / "hearth.db"
    with Database.open(path) as database:
        ConversationStore(database).create()
    assert path.stat().st_size > 0


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnwritable):
        Database.open(tmp_path / "file" / "hearth.db")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_is_named(path: Path) -> None:
    Database.open(path).close()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(HomeUnwritable):
            Database.open(path)
    finally:
        path.parent.chmod(0o700)


def test_a_folder_in_its_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(DatabaseDamaged):
        Database.open(path)


def test_processes_that_open_it_first_at_the_same_time_all_succeed(path: Path) -> None:
    code = (
        "import sys; from hearth.paths import database_file; from hearth.conversations.store import ConversationStore;"
        "from hearth.storage.database import Database; print('ready', flush=True); sys.stdin.readline();"
        "ConversationStore(Database.open(database_file())).create()"
    )
    environment = {**CHILD_ENVIRONMENT, "HEARTH_HOME": str(path.parent)}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    ended = [(child.communicate(timeout=60)[1], child.returncode) for child in children]
    assert ended == [("", 0)] * 4
    with Database.open(path) as database:
        assert ConversationStore(database).count() == 4


def test_a_writer_that_never_ends_is_reported_as_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearth.storage.engine.BUSY_SECONDS", 0.1)
    with Database.open(path) as database, closing(sqlite3.connect(path, isolation_level=None)) as other:
        store = ConversationStore(database)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy):
            store.create()
        assert store.count() == 0  # reading never waits
        other.execute("ROLLBACK")
        store.create()


def test_a_transaction_that_fails_leaves_nothing(path: Path) -> None:
    with Database.open(path) as database:
        store = ConversationStore(database)
        conversation = store.create()

        def fail_half_way() -> None:
            with database.session() as session:
                session.execute(sqlalchemy.text("UPDATE conversation SET title = 'half done'"))
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail_half_way()
        assert store.get(conversation.id).title == ""


def test_an_sql_error_never_repeats_what_the_user_wrote(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Database.open(path) as database:
        statement = sqlalchemy.text("INSERT INTO part VALUES ('gone', 0, 'text', :content, '{}')")
        try:
            with database.session() as session:
                session.execute(statement, {"content": "secret" * 2})
        except sqlalchemy.exc.IntegrityError:
            logging.getLogger("hearth").exception("failed")
    assert "FOREIGN KEY" in caplog.text
    assert "secretsecret" not in caplog.text


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system needs root and mount(8)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_nothing_that_was_stored_is_lost(full_disk: Path) -> None:
    with Database.open(full_disk / "hearth.db") as database:
        store = ConversationStore(database)
        conversation = store.create()
        kept = store.add_message(
            conversation.id, parent_id=None, role=Role.USER, parts=[Part(PartKind.TEXT, "kept")]
        )

        def fill() -> None:
            for _ in range(40):
                store.add_message(
                    conversation.id,
                    parent_id=kept.id,
                    role=Role.ASSISTANT,
                    parts=[Part(PartKind.TEXT, "x" * 100_000)],
                )

        with pytest.raises(DiskFull):
            fill()
        assert store.message(kept.id).text == "kept"
        assert pragma(database, "integrity_check") == "ok"


def test_a_watcher_hears_of_commits_by_others_until_it_is_stopped(path: Path) -> None:
    with Database.open(path) as ours, Database.open(path) as theirs:
        heard = Event()
        watcher = ChangeWatcher(ours, heard.set, seconds=0.01)
        watcher.start()
        assert not heard.wait(0.1)
        ConversationStore(theirs).create()
        assert heard.wait(10)
        watcher.stop()
        heard.clear()
        ConversationStore(theirs).create()
        assert not heard.wait(0.1)


def test_a_listener_that_fails_does_not_end_the_watch(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Database.open(path) as database:
        called = Event()
        again = Event()

        def fail() -> None:
            (again if called.is_set() else called).set()
            raise RuntimeError("listener")

        watcher = ChangeWatcher(database, fail, seconds=0.01)
        watcher.start()
        ConversationStore(database).create()
        assert called.wait(10)
        ConversationStore(database).create()
        assert again.wait(10)
        watcher.stop()
    assert "listener" in caplog.text


def test_many_threads_write_at_once(path: Path) -> None:
    with Database.open(path) as database:
        store = ConversationStore(database)
        threads = [Thread(target=lambda: [store.create() for _ in range(10)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.count() == 80

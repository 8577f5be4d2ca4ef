"""The variables of Prefect's processes: the project's own, and nothing of the user's."""

from __future__ import annotations

from trunkline.flows.home import Home, environment, foreign, pages_of, server_environment

URL = "http://127.0.0.1:4217/api"


def test_everything_lies_below_one_folder() -> None:
    home = Home("/project")
    assert home.folder == "/project/.trunkline/prefect"
    for path in (home.prefect, home.database, home.state, home.lock, home.flows, home.log("server")):
        assert path.startswith(f"{home.folder}/")


def test_a_process_is_told_where_the_server_is_and_to_be_quiet() -> None:
    told = environment("/project", URL, {})
    assert told["PREFECT_API_URL"] == URL
    assert told["PREFECT_HOME"] == "/project/.trunkline/prefect/home"
    assert told["DO_NOT_TRACK"] == "1"
    assert told["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert "PREFECT_PROFILE" not in told


def test_a_prefect_home_of_the_users_choice_stays() -> None:
    told = environment("/project", URL, {"PREFECT_HOME": "/mine", "PREFECT_PROFILE": "work"})
    assert "PREFECT_HOME" not in told
    assert "PREFECT_PROFILE" not in told


def test_a_profile_of_the_users_home_is_not_looked_for_in_ours() -> None:
    assert environment("/project", URL, {"PREFECT_PROFILE": "work"})["PREFECT_PROFILE"] == "ephemeral"


def test_a_proxy_is_not_asked_for_a_loopback_address() -> None:
    assert environment("/project", URL, {})["NO_PROXY"] == "127.0.0.1,localhost"
    assert environment("/project", URL, {"no_proxy": "intern"})["no_proxy"] == "intern,127.0.0.1,localhost"
    assert "NO_PROXY" not in environment("/project", "https://prefect.example.org/api", {})


def test_the_server_gets_nothing_that_was_set_for_another_one() -> None:
    database = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
    user = {
        "PATH": "/bin", "PREFECT_HOME": "/mine", "PREFECT_API_KEY": "secret", "PREFECT_UI_URL": "http://there",
        database: "postgresql+asyncpg://there/prefect", "PREFECT_SERVER_API_AUTH_STRING": "a:b",
    }  # fmt: skip
    told = server_environment("/project", URL, user)
    assert told["PATH"] == "/bin"
    assert told["PREFECT_HOME"] == "/project/.trunkline/prefect/home"
    assert told[database] == "sqlite+aiosqlite:///./prefect.db"
    assert told["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4217,http://localhost:4217"
    assert not {"PREFECT_API_KEY", "PREFECT_UI_URL", "PREFECT_SERVER_API_AUTH_STRING"} & set(told)


def test_the_users_own_server_is_the_one_that_is_named() -> None:
    assert foreign({}) == ""
    assert foreign({"PREFECT_API_URL": ""}) == ""
    assert foreign({"PREFECT_API_URL": "http://there/api/"}) == "http://there/api"


def test_where_the_pages_of_a_server_are() -> None:
    assert pages_of(URL, {}) == "http://127.0.0.1:4217"
    assert pages_of("http://there/api", {"PREFECT_UI_URL": "http://pages/"}) == "http://pages"
    cloud = "https://api.prefect.cloud/api/accounts/a1/workspaces/w1"
    assert pages_of(cloud, {}) == "https://app.prefect.cloud/account/a1/workspace/w1"

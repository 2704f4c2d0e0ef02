import pytest

from glyphsight.errors import GlyphsightError
from glyphsight.serve.settings import ServeSettings


@pytest.mark.parametrize(
    "url", ["localhost:11434", "ftp://a", "http://", "http://a:x", "file:///a"]
)
def test_an_upstream_is_a_web_address(url):
    with pytest.raises(GlyphsightError, match=r"upstream .*http://localhost:11434"):
        ServeSettings(upstream=url)


def test_the_version_of_the_api_is_part_of_the_path():
    assert ServeSettings(upstream="http://a:1/x/v1/").upstream == "http://a:1/x"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org"])
def test_other_machines_need_a_key_or_consent(host):
    with pytest.raises(GlyphsightError, match=r"GLYPHSIGHT_API_KEY.*--without-key"):
        ServeSettings(host=host)
    ServeSettings(host=host, api_key="secret")
    ServeSettings(host=host, without_key=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_needs_none(host):
    ServeSettings(host=host)


def test_an_upstream_talks_itself():
    with pytest.raises(GlyphsightError, match="leave --talker"):
        ServeSettings(upstream="http://localhost:1", talker="smollm2-135m")


def test_a_key_is_not_printed():
    assert "secret" not in repr(ServeSettings(api_key="secret", upstream_key="secret"))


def test_words_that_cannot_be_filled_in_are_refused():
    with pytest.raises(GlyphsightError, match=r"text_words.*--help"):
        ServeSettings(text_words="{texte}")

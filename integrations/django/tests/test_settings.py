"""Settings that cannot work are told when Django starts."""

from django.conf import settings
from django.core.checks import run_checks
from django.test import SimpleTestCase, override_settings

GOOD = settings.DUMBWAITER


class Checks(SimpleTestCase):
    def told(self, **changed):
        with override_settings(**changed):
            return [f"{found.id} {found.msg}" for found in run_checks() if found.id.startswith("dumbwaiter.")]

    def test_find_nothing_in_good_settings_nor_where_the_middleware_is_not_used(self):
        self.assertEqual(self.told(), [])
        self.assertEqual(self.told(MIDDLEWARE=settings.MIDDLEWARE[1:], DUMBWAITER=None), [])

    def test_find_what_is_wrong_with_dumbwaiter(self):
        for wrong, words in [
            (None, "not set"),
            ({**GOOD, "KYE": "x"}, "unknown keys: KYE"),
            ({"FOLDERS": GOOD["FOLDERS"]}, "one of KEY and KEY_FILE"),
            ({**GOOD, "KEY_FILE": "/x"}, "one of KEY and KEY_FILE"),
            ({**GOOD, "KEY": "short"}, "shorter than 32"),
            ({**GOOD, "KEY": 12}, "neither text nor bytes"),
            ({"KEY_FILE": "/nowhere/key", "FOLDERS": GOOD["FOLDERS"]}, "cannot be read"),
            ({"KEY_FILE": "/dev/null", "FOLDERS": GOOD["FOLDERS"]}, "shorter than 32"),
            ({"KEY": GOOD["KEY"]}, "not a list"),
            ({**GOOD, "FOLDERS": "/uploads"}, "not a list"),
            ({**GOOD, "FOLDERS": ["uploads"]}, "not absolute: uploads"),
        ]:
            with self.subTest(wrong=wrong):
                (found,) = self.told(DUMBWAITER=wrong)
                self.assertRegex(found, f"^dumbwaiter.E001 .*{words}")

    def test_find_a_middleware_that_comes_too_late(self):
        (found,) = self.told(MIDDLEWARE=[*settings.MIDDLEWARE[1:], settings.MIDDLEWARE[0]])
        self.assertTrue(found.startswith("dumbwaiter.E002"))

    def test_find_a_cache_that_cannot_remember_for_all(self):
        self.assertTrue(self.told(DUMBWAITER={**GOOD, "CACHE": "none"})[0].startswith("dumbwaiter.E003"))
        local = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
        self.assertTrue(self.told(CACHES=local)[0].startswith("dumbwaiter.W001"))

    def test_find_folders_that_are_not_there_or_elsewhere(self):
        self.assertTrue(self.told(DUMBWAITER={**GOOD, "FOLDERS": ["/nowhere/at/all"]})[0].startswith("dumbwaiter.W002"))
        self.assertTrue(self.told(DUMBWAITER={**GOOD, "FOLDERS": ["/proc"]})[0].startswith("dumbwaiter.W003"))

"""What Dumbwaiter has not said for this very request is refused, and no file is touched."""

import base64
import hmac
import os
import time
from unittest import skipUnless

from django.conf import settings
from django.test import TestCase, override_settings

from .dumbwaiter import post, refer, stated, statement, stored, written


def signed_by_hand(head, claims):
    """A token with a head that PyJWT would not write, well signed all the same."""
    signed = base64.urlsafe_b64encode(head.encode()).rstrip(b"=") + b"." + claims.encode()
    mac = hmac.digest(settings.DUMBWAITER["KEY"].encode(), signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


class Refusals(TestCase):
    def refused(self, fields, why, path="/tell", files=(), method="POST"):
        with self.assertLogs("django.security.dumbwaiter", "WARNING") as logs:
            answer = post(self.client, path, fields, files, method)
        self.assertEqual(answer.status_code, 400)
        self.assertIn(why, logs.output[0])

    def test_a_statement_that_is_not_dumbwaiters(self):
        files = [stated(stored())]
        good = statement(files)
        head, claims, signature = good.split(".")
        other = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b"paella", b"poison")).rstrip(b"=").decode()
        now = time.time()
        for token, why in [
            (statement(files, key="another key of thirty-two bytes or so"), "signed by nobody known"),
            (f"{head}.{other}.{signature}", "signed by nobody known"),
            (f"{head}.{claims}.", "signed by nobody known"),
            (statement(files, algorithm="HS512", key=settings.DUMBWAITER["KEY"] * 2), "signed by nobody known"),
            (signed_by_hand('{"alg":"none"}', claims), "signed in another way"),
            (signed_by_hand("[]", claims), "holds no object"),
            (signed_by_hand("{", claims), "holds no JSON"),
            ("", "is no token"),
            ("a.b", "is no token"),
            ("a.b.ü", "is no token"),
            ("a.b.c.d", "is no token"),
            (f"{head}.{claims}.!", "is no base64"),
            (statement(files, iss="someone"), "for something else"),
            (statement(files, aud="hand-off"), "for something else"),
            (statement(files, aud=["statement"]), "for something else"),
            (statement(files, exp=int(now) - 60), "too old"),
            (statement(files, exp=None), "has no exp"),
            (statement(files, jti=None), "has no jti"),
            (statement(files, path=None), "has no path"),
            (statement("all"), "names no files"),
            (statement(["one"]), "a file that is none"),
            (statement([{**files[0], "size": -1}]), "without its size"),
            (statement([{**files[0], "size": "6"}]), "without its size"),
            (statement([{**files[0], "name": 7}]), "has no name"),
            (statement([{**files[0], "name": ".."}]), "has no name"),
            (statement([{**files[0], "sha256": 7}]), "strange sha256"),
        ]:
            with self.subTest(token=token):
                self.refused([("dumbwaiter.statement", token), *written(files)], why)
        self.assertEqual(post(self.client, "/tell", [("dumbwaiter.statement", good)]).status_code, 200)

    def test_a_statement_for_another_request(self):
        files = [stated(stored())]
        self.refused([("dumbwaiter.statement", statement(files, path="/add"))], "for another request")
        self.refused([("dumbwaiter.statement", statement(files))], "for another request", path="/tell?id=1")
        self.refused([("dumbwaiter.statement", statement(files, path="/tell?id=2"))], "for another request", path="/tell?id=1")
        self.refused([("dumbwaiter.statement", statement(files, method="PUT"))], "for another request")

    def test_a_statement_that_was_used(self):
        fields = [("dumbwaiter.statement", statement([stated(stored())]))]
        self.assertEqual(post(self.client, "/tell", fields).status_code, 200)
        self.refused(fields, "used before")

    def test_two_statements_and_files_beside_one(self):
        tokens = [("dumbwaiter.statement", statement([stated(stored())])) for _ in range(2)]
        self.refused(tokens, "more than once")
        self.refused(tokens[:1], "together with files", files=[("picture", "b.jpg", "bytes")])

    def test_a_file_that_is_not_in_the_folders(self):
        outside = stored(folder=settings.BASE)
        uploads = settings.BASE / "uploads"
        (uploads / "link").unlink(missing_ok=True)
        (uploads / "link").symlink_to(outside)
        (uploads / "inner").mkdir(exist_ok=True)
        (uploads / "beside").unlink(missing_ok=True)
        (uploads / "beside").symlink_to(settings.BASE, target_is_directory=True)
        near = settings.BASE / "uploads-too"
        near.mkdir(exist_ok=True)
        for path, why in [
            (outside, "outside"),
            ("/etc/passwd", "outside"),
            (f"{uploads}/../{outside.name}", "outside"),
            (f"{uploads}/inner/../{stored().name}", "outside"),
            (stored(folder=near), "outside"),
            (uploads / "link", "a link"),
            (uploads / "beside" / outside.name, "outside"),
            (uploads / "gone", "not there"),
            (uploads / "inner", "another by now"),
            (uploads, "outside"),
            (f"{uploads}/a\0b", "not there"),
        ]:
            with self.subTest(path=path):
                self.refused([("dumbwaiter.statement", statement([stated(path)]))], why)
        self.assertTrue(outside.exists())

    def test_a_file_that_is_another_by_now(self):
        path = stored(b"paella")
        files = [stated(path)]
        path.write_bytes(b"paella and more")
        self.refused([("dumbwaiter.statement", statement(files))], "another by now")
        os.unlink(path)
        os.mkfifo(path)
        self.refused([("dumbwaiter.statement", statement([{**files[0], "size": 0}]))], "another by now")

    @skipUnless(os.path.isdir("/proc/self/fd"), "counts descriptors by Linux's means")
    def test_leave_no_file_open(self):
        good, bad = stated(stored()), stated(settings.BASE / "uploads" / "gone")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            self.refused([("dumbwaiter.statement", statement([good, bad]))], "not there")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        for _ in range(3):
            self.assertEqual(refer(self.client, "/tell", [good]).status_code, 200)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_keys_can_be_changed_without_a_gap(self):
        old, new = "the old key of thirty-two bytes or more", "the new key of thirty-two bytes or more"
        file = settings.BASE / "keys"
        chosen = {"KEY_FILE": file, "FOLDERS": [settings.BASE / "uploads"]}
        with override_settings(DUMBWAITER=chosen):
            file.write_text(f"{new}\n{old}\n")
            for key in (old, new):
                self.assertEqual(refer(self.client, "/tell", [stated(stored())], key=key).status_code, 200)
            file.write_text(f"{new}\n")
            self.refused([("dumbwaiter.statement", statement([stated(stored())], key=old))], "signed by nobody known")

    def test_a_remark_in_the_file_of_keys_is_no_key(self):
        key, remark = "the new key of thirty-two bytes or more", "# the old key of thirty-two bytes or more"
        file = settings.BASE / "keys-with-remarks"
        file.write_text(f"# new\n{key}\n  {remark}\n")
        with override_settings(DUMBWAITER={"KEY_FILE": file, "FOLDERS": [settings.BASE / "uploads"]}):
            self.assertEqual(refer(self.client, "/tell", [stated(stored())], key=key).status_code, 200)
            self.refused([("dumbwaiter.statement", statement([stated(stored())], key=remark))], "signed by nobody known")

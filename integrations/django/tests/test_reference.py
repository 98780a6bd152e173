"""A form that Dumbwaiter hands on is an ordinary form to the project."""

import json
import os

from django.conf import settings
from django.contrib.auth.models import User
from django.test import AsyncClient, Client, TestCase, override_settings

from .dishes.models import Dish
from .dumbwaiter import body, post, refer, stated, statement, stored, written


class AForm(TestCase):
    def test_is_seen_by_a_view_as_the_client_sent_it(self):
        files = [stated(stored(), name="../../Paella ü.jpg"), stated(stored(b"", "b"), field="menu", name="m.txt", content_type="text/plain", sha256=None)]
        files[1].pop("sha256")
        fields = [("id", "12"), ("tag", "a"), ("tag", "b"), ("picture.note", "the client's")]
        told = refer(self.client, "/tell?X-Progress-ID=a%20b", files, fields).json()
        self.assertEqual(told["post"], {"id": ["12"], "tag": ["a", "b"], "picture.note": ["the client's"]})
        self.assertEqual(told["upload"], "an-upload")
        self.assertEqual(
            told["files"],
            [
                {"field": "picture", "name": "Paella ü.jpg", "type": "image/jpeg", "size": 6, "bytes": "paella"},
                {"field": "menu", "name": "m.txt", "type": "text/plain", "size": 0, "bytes": ""},
            ],
        )

    def test_of_several_files_in_one_field_keeps_their_order(self):
        files = [stated(stored(text.encode()), field="picture[]", name=text) for text in ("a", "b", "c")]
        told = refer(self.client, "/tell", files).json()
        self.assertEqual([file["bytes"] for file in told["files"]], ["a", "b", "c"])

    def test_moves_the_file_into_the_models_storage_without_a_copy(self):
        path = stored(b"a large picture")
        inode = os.stat(path).st_ino
        client = Client(enforce_csrf_checks=True)
        client.cookies["csrftoken"] = "a" * 32
        fields = [("csrfmiddlewaretoken", "a" * 32), ("name", "Paella")]
        answer = refer(client, "/add", [stated(path)], fields)
        self.assertEqual((answer.status_code, answer.json()), (201, {"picture": Dish.objects.get().picture.name}))
        kept = Dish.objects.get().picture.path
        self.assertEqual(os.stat(kept).st_ino, inode)
        self.assertTrue(kept.startswith(str(settings.MEDIA_ROOT)))
        self.assertFalse(path.exists())

    def test_without_its_csrf_token_is_refused_and_moves_nothing(self):
        path = stored()
        client = Client(enforce_csrf_checks=True)
        client.cookies["csrftoken"] = "a" * 32
        self.assertEqual(refer(client, "/add", [stated(path)], [("name", "Paella")]).status_code, 403)
        self.assertTrue(path.exists())

    def test_that_the_models_form_refuses_moves_nothing(self):
        path = stored()
        answer = refer(self.client, "/add", [stated(path)], [("name", "")])
        self.assertEqual((answer.status_code, list(answer.json())), (422, ["name"]))
        self.assertTrue(path.exists())

    def test_of_the_admin_adds_a_dish(self):
        path = stored()
        inode = os.stat(path).st_ino
        self.client.force_login(User.objects.create_superuser("cook"))
        answer = refer(self.client, "/admin/dishes/dish/add/", [stated(path)], [("name", "Paella")])
        self.assertEqual(answer.status_code, 302, answer.content[:2000])
        self.assertEqual(os.stat(Dish.objects.get().picture.path).st_ino, inode)

    def test_reaches_a_view_that_sets_its_own_upload_handlers(self):
        client = Client(enforce_csrf_checks=True)
        client.cookies["csrftoken"] = "a" * 32
        files, fields = [stated(stored())], [("csrfmiddlewaretoken", "a" * 32)]
        self.assertEqual(refer(client, "/handlers", files, fields).json()["files"][0]["bytes"], "paella")
        plain = post(client, "/handlers", fields, [("picture", "b.jpg", "bytes of it")])
        self.assertEqual(plain.json()["files"][0]["bytes"], "bytes of it")

    def test_with_a_path_in_which_something_is_escaped_is_for_that_path(self):
        for path in ("/tell/a%20b", "/tell/%C3%BC", "/tell/%ff", "/tell/~x?a=%2F&b"):
            self.assertEqual(refer(self.client, path, [stated(stored())]).status_code, 200, path)

    async def test_reaches_an_asynchronous_view(self):
        files = [stated(stored())]
        fields = [("dumbwaiter.statement", statement(files, path="/asynchronous")), ("id", "12"), *written(files)]
        kind = "multipart/form-data; boundary=a-boundary-of-our-own"
        answer = await AsyncClient().generic("POST", "/asynchronous", body(fields), content_type=kind)
        self.assertEqual(json.loads(answer.content), {"files": ["paella.jpg"], "post": {"id": "12"}})

    def test_that_is_no_hand_off_is_as_ever(self):
        told = post(self.client, "/tell", [("id", "12"), ("picture.path", "/etc/passwd")], [("picture", "a.jpg", "abc")]).json()
        self.assertEqual(told["post"], {"id": ["12"], "picture.path": ["/etc/passwd"]})
        self.assertEqual([file["bytes"] for file in told["files"]], ["abc"])
        self.assertEqual(self.client.post("/tell", "a=b", content_type="application/x-www-form-urlencoded").json()["post"], {"a": ["b"]})

    def test_counts_files_against_the_projects_limit(self):
        files = [stated(stored()) for _ in range(3)]
        with override_settings(DATA_UPLOAD_MAX_NUMBER_FILES=2):
            self.assertEqual(refer(self.client, "/tell", files).status_code, 400)
        with override_settings(DATA_UPLOAD_MAX_NUMBER_FILES=3):
            self.assertEqual(refer(self.client, "/tell", files).status_code, 200)

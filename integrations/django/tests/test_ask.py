"""Dumbwaiter asks who may; the project's own permissions and CSRF check answer."""

from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory, TestCase

from dumbwaiter_django.views import Question, asked

OURS = "/_dumbwaiter/files/paella.jpg"


class Ask(TestCase):
    def setUp(self):
        self.user = User.objects.create_user("cook")
        self.user.user_permissions.add(Permission.objects.get(codename="add_dish"))
        self.client = Client(enforce_csrf_checks=True)
        self.client.force_login(self.user)
        self.client.cookies["csrftoken"] = self.token = "a" * 32

    def ask(self, act="upload", path=OURS, csrf=True, **headers):
        named = {f"HTTP_DUMBWAITER_{name.upper()}": value for name, value in {"act": act, "path": path, **headers}.items()}
        if csrf:
            named["HTTP_X_CSRFTOKEN"] = self.token
        return self.client.post("/ask", **named)

    def test_lets_in_whoever_may_add_and_says_the_limits(self):
        answer = self.ask(method="PUT", length="6", name="paella.jpg")
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.json(), {"owner": f"user-{self.user.pk}", "max_size": 1000, "types": ["image/jpeg"]})
        self.assertIn("no-store", answer["Cache-Control"])

    def test_refuses_whoever_may_not_add_or_is_not_logged_in(self):
        self.user.user_permissions.clear()
        self.assertEqual(self.ask().status_code, 403)
        self.assertEqual(self.ask("watch").status_code, 200)
        self.client.logout()
        self.client.cookies["csrftoken"] = self.token
        for act in ("upload", "watch", "read", "remove", "page"):
            self.assertEqual(self.ask(act).status_code, 403, act)

    def test_wants_the_token_where_another_site_could_have_the_browser_send_it(self):
        for act in ("upload", "remove"):
            self.assertEqual(self.ask(act, csrf=False).status_code, 403, act)
        for act in ("watch", "read", "page"):
            self.assertEqual(self.ask(act, csrf=False).status_code, 200, act)

    def test_leaves_the_token_to_the_projects_own_view_that_checks_it(self):
        self.assertEqual(self.ask(path="/add?X-Progress-ID=a", csrf=False).status_code, 200)
        self.assertEqual(self.ask(path="/%61dd", csrf=False).status_code, 200)
        self.assertEqual(self.ask(path="/tell", csrf=False).status_code, 403)
        self.assertEqual(self.ask(path="/nowhere", csrf=False).status_code, 403)

    def test_takes_no_address_below_dumbwaiters_base_for_the_projects(self):
        for path in ("/_dumbwaiter/caught", "/%5Fdumbwaiter/caught"):
            self.assertEqual(self.ask(path=path, csrf=False).status_code, 403)

    def test_hears_what_is_asked(self):
        request = RequestFactory().post("/ask", HTTP_DUMBWAITER_ACT="upload", HTTP_DUMBWAITER_METHOD="PUT",
            HTTP_DUMBWAITER_PATH="/a?b", HTTP_DUMBWAITER_LENGTH="12", HTTP_DUMBWAITER_NAME="%C3%BC.jpg", HTTP_DUMBWAITER_UPLOAD="u")
        self.assertEqual(asked(request), Question("upload", "PUT", "/a?b", 12, "ü.jpg", "u"))
        request = RequestFactory().post("/ask", HTTP_DUMBWAITER_ACT="page", HTTP_DUMBWAITER_LENGTH="many")
        self.assertEqual(asked(request), Question("page", "", "", None, None, None))

    def test_is_for_dumbwaiter_alone(self):
        self.assertEqual(self.client.post("/ask").status_code, 400)
        self.assertEqual(self.client.get("/ask").status_code, 405)

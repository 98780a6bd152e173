"""The template tag makes a form that works without script, and says to the script what it needs."""

from django.contrib.staticfiles import finders
from django.template import Context, Template
from django.test import SimpleTestCase, override_settings

from .dishes.views import DishForm


class Tag(SimpleTestCase):
    def made(self, tag, **context):
        return Template("{% load dumbwaiter %}" + tag).render(Context(context))

    def test_makes_a_whole_form(self):
        html = self.made('{% dumbwaiter_form form action="/add" submit=word %}', word="Add <it>", form=DishForm(), csrf_token="a token")
        self.assertInHTML('<input type="hidden" name="csrfmiddlewaretoken" value="a token">', html)
        self.assertIn('method="post" enctype="multipart/form-data" action="/add" data-dumbwaiter="/_dumbwaiter/"', html)
        self.assertInHTML('<input type="file" name="picture" required id="id_picture">', html)
        self.assertIn("<button>Add &lt;it&gt;</button>", html)
        self.assertInHTML('<script type="module" src="/_dumbwaiter/dumbwaiter.js"></script>', html)

    def test_makes_one_for_the_page_itself_and_another_base(self):
        html = self.made('{% dumbwaiter_form base="/lift/" %}')
        self.assertIn('<form class="dumbwaiter" method="post" enctype="multipart/form-data" data-dumbwaiter="/lift/">', html)
        self.assertNotIn("csrfmiddlewaretoken", html)

    @override_settings(STATICFILES_FINDERS=["django.contrib.staticfiles.finders.AppDirectoriesFinder"])
    def test_names_a_style_that_is_there(self):
        self.assertIn('<link rel="stylesheet" href="/static/dumbwaiter/form.css">', self.made("{% dumbwaiter_form %}"))
        self.assertIsNotNone(finders.find("dumbwaiter/form.css"))

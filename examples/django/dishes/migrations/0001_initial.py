"""The table of dishes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Dish",
            fields=[
                ("id", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("picture", models.FileField(upload_to="")),
            ],
        )
    ]

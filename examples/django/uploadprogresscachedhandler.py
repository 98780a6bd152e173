"""What the article puts into the settings: an upload handler that counts in Django's cache, as snippet 678 does.

It sees an upload only while Django itself receives it, so it is for the project without Dumbwaiter. Behind Dumbwaiter it
finds no `X-Progress-ID` in the query, counts nothing, and leaves the cache to Dumbwaiter.
"""

from django.core.cache import cache
from django.core.files.uploadhandler import FileUploadHandler


class UploadProgressCachedHandler(FileUploadHandler):
  """Keeps `{"length": …, "uploaded": …}` under "remoteaddress_uploadid" while a form comes in."""

  key = None

  def handle_raw_input(self, input_data, META, content_length, boundary, encoding=None):
    progress_id = self.request.GET.get('X-Progress-ID') or META.get('X-Progress-ID')
    if progress_id:
      self.key = "%s_%s" % (META['REMOTE_ADDR'], progress_id)
      cache.set(self.key, {'length': content_length, 'uploaded': 0})

  def receive_data_chunk(self, raw_data, start):
    if self.key:
      data = cache.get(self.key) or {'length': self.content_length or 1, 'uploaded': 0}
      data['uploaded'] += self.chunk_size
      cache.set(self.key, data)
    return raw_data

  def file_complete(self, file_size):
    return None

  def upload_complete(self):
    if self.key:
      cache.delete(self.key)

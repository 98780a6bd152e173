/* The article's listings, and what they need around them. README.md names every line that is not as in the article. */

var g_progress_intv = 0;

// The article's app writes the dish's id into its page. Here another dish is another address: /?id=13
var dish = new URLSearchParams(location.search).get('id');
if (dish)
  $('#id').val(dish);

$('#form_upload').on('submit', function (event) {
  event.preventDefault();

  // The article's second listing.
  $('#X-Progress-ID').val(randomId());
  var options = {
    dataType: 'xml',
    url: '/upload?X-Progress-ID='+$('#X-Progress-ID').val(),
    beforeSubmit: showRequest,
    success: showResponse,
    error: showError
  }
  $('#form_upload').ajaxSubmit(options);
  // Its end.
});

/** 128 random bits in hex: nobody guesses them, and no two uploads share them. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Called before the request. */
function showRequest() {
  $('#answer').text('');
  $('#uploadprogressbar').remove();

  // The article's third listing.
  $('#form_upload').append('<span id="uploadprogressbar"></span>');
  $('#form_upload').find('#uploadprogressbar').progressBar();
  // Its end.

  startProgressBarUpdate($('#X-Progress-ID').val());
}

// The article's fourth listing.
function startProgressBarUpdate(upload_id) {
  $("#uploadprogressbar").fadeIn();
  if(g_progress_intv != 0)
    clearInterval(g_progress_intv);
  g_progress_intv = setInterval(function() {
    $.getJSON("/get_upload_progress?X-Progress-ID="
+ upload_id, function(data) {
      if (data == null) {
        $("#uploadprogressbar").progressBar(100);
        clearInterval(g_progress_intv);
        g_progress_intv = 0;
        return;
      }
      var percentage = Math.floor(100 * parseInt(data.uploaded) / parseInt(data.length));
      $("#uploadprogressbar").progressBar(percentage);
    });
  }, 5000);
}
// Its end.

/** Called after the request, with the server's answer. The bar gets to 100 by the next poll. */
function showResponse(responseXML) {
  var file = $(responseXML).find('upload > files > file').first();
  $('#answer').text(file.length == 0 ? 'The form has arrived. It held no picture.'
    : 'The picture of dish ' + file.find('name').text() + ' has arrived: ' + Number(file.find('length').text()).toLocaleString('en') + ' bytes.');
}

/** Called when it was refused, or the connection broke: the bar stays where it stopped. */
function showError(xhr) {
  clearInterval(g_progress_intv);
  g_progress_intv = 0;
  var message = $(xhr.responseXML).find('error > message').text();
  $('#answer').text('This did not arrive: ' + (message || 'the connection to the server broke') + '.');
}

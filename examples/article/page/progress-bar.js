/* The article's .progressBar() comes from a plugin that is on no registry. Here jQuery UI's progress bar draws it. */

$.fn.progressBar = function (percentage) {
  return this.attr('aria-label', 'Progress of the upload').progressbar({ value: percentage || 0 });
};

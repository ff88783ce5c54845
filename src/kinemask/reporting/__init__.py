"""Tables, figures and the HTML report, made from records."""

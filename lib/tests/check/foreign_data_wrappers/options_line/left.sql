create foreign data wrapper w options (x E'1\ny=2');

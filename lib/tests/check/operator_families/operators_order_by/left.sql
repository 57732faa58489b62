alter operator family f using gist add operator 1 <-> (point, point) for order by float_ops;

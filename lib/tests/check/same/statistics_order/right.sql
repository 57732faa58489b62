create statistics s (mcv, ndistinct) on b, a from t;
